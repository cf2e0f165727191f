"""What was taken from people, in a log of its own that outlives a restore: roles, logins, devices."""

"""What follows the changes of the database and keeps copies of it elsewhere: search, read store, queues."""

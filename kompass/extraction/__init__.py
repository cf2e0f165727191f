"""The text of attachments. A file is hostile: it is read in a process of its own, with limits."""

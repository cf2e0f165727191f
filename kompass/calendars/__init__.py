"""Calendars that people subscribe to: meetings, tours, due tasks and milestones as iCalendar (RFC 5545).

Who has the address of a subscription has what its person may read at that moment, and nothing once he may
read nothing.
"""

"""Reading tables that anybody may have made: in a process of its own, with limits."""

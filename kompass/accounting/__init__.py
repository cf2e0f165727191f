"""Files for the accountant, and what comes back from him: formats and rules without I/O beyond a stream."""

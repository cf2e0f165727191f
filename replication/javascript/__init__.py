"""Functions of design documents, run by a JavaScript engine in processes of their own.

`environment.js` is what a function finds around it, `worker` the process that runs it, `engine` the
pool of such processes, and `functions` what the rest of the program calls.

What a function can do is bounded three times. Inside the engine a call has a time and a memory limit and
no way to files, network or clocks that wait. The process around it ends itself when the engine is
stuck in something it can't interrupt, and has a limit of its own for memory. The server, at
last, waits only so long for an answer before it kills the process. Each job gets a fresh engine, so
what one function leaves behind reaches no other, nor its own next job.
"""

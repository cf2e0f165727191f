"""What the server made itself and has lost: it was restored from a backup, and a device brings a revision
back.

Such a revision has what no device may write, a number or a sum. Its id is an HMAC over what it follows and
what it says, with a key that no device has, so it proves itself: nobody else can have made it. Attachments
are not in it, so a document that has some proves nothing.
"""

from __future__ import annotations

from hmac import compare_digest

from kompass.sync.gate.ports import Index
from kompass.sync.gate.pushed import Pushed
from replication.protocol import jsontext
from replication.store.sqlite import Reading

OF_THE_SERVER = frozenset({"field.writers", "escape.author"})
"""Rules that such a revision may break: who writes which fields, and who sends it. All others hold."""


def made_here(reading: Reading, index: Index, pushed: Pushed) -> bool:
    """Whether a revision is the server's own, which was restored since."""
    if len(reading.epochs.all) < 2 or pushed.doc.deleted or pushed.doc.attachments:
        return False
    path = pushed.path
    parent = (path.start - 1, path.ids[1]) if len(path.ids) > 1 else None
    said = jsontext.decode(pushed.sent.body)
    text = jsontext.encode({name: value for name, value in said.items() if name[:1] != "_"})
    return compare_digest(index.keyed_revision(pushed.doc.id, parent, text), path.ids[0])

"""What two people changed differently: kept, told to those concerned, and settled by one of them."""

# The gate's batches keep conflicts, and conflicts read what its files know of documents: whichever of the two
# is imported first, the gate has to begin.
import kompass.sync.gate  # noqa: F401

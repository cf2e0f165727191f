"""What two people changed differently: kept, told to those concerned, and settled by one of them."""

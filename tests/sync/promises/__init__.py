"""The product's promises, tried on a small company with real servers, real requests and devices that fail."""

"""What every driver of the store interface must do: the fixtures beside name the driver."""

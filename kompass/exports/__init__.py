"""Lists as files: CSV, spreadsheets, JSON, Parquet, with the rights and the fields of whoever asks."""

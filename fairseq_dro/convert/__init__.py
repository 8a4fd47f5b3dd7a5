"""Models of other libraries, read and written. Optional libraries are imported when used."""

"""Hidden layers of a frozen encoder, computed once for a data folder."""

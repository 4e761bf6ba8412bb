"""A publication: what is copied into its folder, the switch to it, its history, and who may trust its date."""

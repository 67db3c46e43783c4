"""Own data from folders, tables and files, as labelled examples."""

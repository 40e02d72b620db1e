"""What stands on the compiler: the command line and the forms in which it reports."""

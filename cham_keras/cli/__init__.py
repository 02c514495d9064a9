"""The console command `cham`."""

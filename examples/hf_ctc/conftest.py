"""The package is tested where it lies: pytest puts the folder of this file on the path."""

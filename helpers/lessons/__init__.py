"""What one notebook alone needs: a module or a package for each topic."""

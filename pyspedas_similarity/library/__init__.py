"""What is searched: samples of loaded variables, of segments that are loaded one after another, or of an archive."""

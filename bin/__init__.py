"""The command-line binaries: flags to a configuration, one call into jaxst, results to files."""

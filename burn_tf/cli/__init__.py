"""The command line. One module per subcommand, each with two functions:

    register(flags: absl.flags.FlagValues) -> None    defines its flags with `flag_values=flags`
    run(flags: absl.flags.FlagValues) -> int          does the work and returns the exit code

Modules here import TensorFlow and the rest of the library inside `run`, so that help stays instant.
"""

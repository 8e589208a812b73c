"""``python -m ternmq``: the command line, where its script is not on the path."""

from ternmq.cli.main import main

if __name__ == "__main__":
    main()

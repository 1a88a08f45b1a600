"""`python -m relevance` is `ellm`."""

from relevance.cli import main

if __name__ == "__main__":
    main()

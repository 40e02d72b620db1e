from wdsl.tools.cli import main  # noqa: TID251

main(prog_name="wdsl")

from wdsl.tools.cli import main

main(prog_name="wdsl")

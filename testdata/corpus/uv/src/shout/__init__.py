import click


@click.command()
@click.argument("what")
def main(what):
    click.echo(what.upper())

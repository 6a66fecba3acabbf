require "mkmf"
have_header("stdint.h")
create_makefile("twice/twice")

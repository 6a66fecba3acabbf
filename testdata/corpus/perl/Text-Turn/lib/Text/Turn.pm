package Text::Turn;
use strict;
use warnings;
our $VERSION = '0.02';

=head1 NAME

Text::Turn - turns text

=cut

sub around { return scalar reverse $_[0] }

1;

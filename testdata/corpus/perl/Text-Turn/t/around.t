use Test::More tests => 1;
use Text::Turn;
is(Text::Turn::around('abc'), 'cba');

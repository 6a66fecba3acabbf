<?php
// Turns a word round, letter by letter and not byte by byte.
$word = $_GET['word'] ?? ($argv[1] ?? '');
echo implode('', array_reverse(mb_str_split($word))), "\n";

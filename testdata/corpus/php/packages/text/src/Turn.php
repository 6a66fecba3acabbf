<?php
namespace Text;

class Turn
{
    public static function around(string $text): string
    {
        return implode('', array_reverse(mb_str_split($text)));
    }
}

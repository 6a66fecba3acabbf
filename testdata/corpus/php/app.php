<?php
require __DIR__ . '/vendor/autoload.php';
echo Text\Turn::around('größe'), "\n";

<?php // A table of texts.
$texts = [];
for ($i = 0; $i < 50000; $i++)
    $texts["k$i"] = str_repeat("x", $i % 99);
echo count($texts), strlen(implode($texts)), "\n";

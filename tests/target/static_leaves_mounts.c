/* static_leaves_mounts.c: leaves_mounts.c as a program that loads no library. */
#include "leaves_mounts.c"

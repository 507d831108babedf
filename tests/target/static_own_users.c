/* static_own_users.c: own_users.c as a program that loads no library. */
#include "own_users.c"

/* touch_bare without a loader, and so without an index of its tables of frames. */
#include "tests/target/touch_bare.c"

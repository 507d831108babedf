/*
 * holes.h: gives back the blocks of a finished trace that no reader needs
 *
 * Gives the blocks of ring slots that chunks account for, of the stack table's index and of unused
 * tails back to the file system; the size of the file stays. On a file system that can't, all stays
 * as it was. Single-threaded. The process's mapping and descriptors are still open.
 */
#ifndef VMT_HOLES_H
#define VMT_HOLES_H

#include "collect/traced.h"

void vmt_holes_punch_all(const struct vmt_traced *process);

#endif

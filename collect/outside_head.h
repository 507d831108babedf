/*
 * outside_head.h: the head of a trace that is made from outside of its process
 *
 * No call will be recorded: the tables are for none, and one ring takes what is known at the start.
 */
#ifndef VMT_OUTSIDE_HEAD_H
#define VMT_OUTSIDE_HEAD_H

#include "format/head.h"

/* Sets the modes of a recording without calls, the sizes of all tables, and lays them out.
 * Who it is, and how time counts, is the caller's to say. map_slots: a power of two;
 * modules_bytes: a multiple of 8. */
void vmt_outside_head_lay_out(struct vmt_head *head, uint32_t map_slots, uint64_t modules_bytes);

/* A number for the trace that no other has. Never 0. */
uint64_t vmt_outside_head_random_id(void);

#endif

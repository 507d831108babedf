/*
 * frame_names.h: the frames of a profile's row by their names alone, outermost first.
 *
 * For forms that know functions and no addresses. One thread's.
 */
#ifndef VMT_FRAME_NAMES_H
#define VMT_FRAME_NAMES_H

#include "tools/export/clean_text.h"
#include "tools/export/profile.h"

struct vmt_frame_name {
	char name[VMT_CLEAN_TEXT_BYTES]; /* "function", "module+0x12", "[leaf]" */
	const char *file;		 /* NULL: not known */
	uint32_t line;			 /* 0: not known */
};

/* How many frames a row has: at least one. */
size_t vmt_frame_names_count(const struct vmt_profile_row *row);

/* The frame at a place, from 0, the outermost. separators: see clean_text.h. */
void vmt_frame_names_get(const struct vmt_profile_row *row, size_t place, const char *separators,
			 struct vmt_frame_name *result);

#endif

/*
 * loaded_module.h: where a loaded file lies, and its table of frames
 */
#ifndef VMT_LOADED_MODULE_H
#define VMT_LOADED_MODULE_H

#include <stdint.h>

struct vmt_loaded_module {
	uint64_t low; /* [low, high): its mapped span */
	uint64_t high;
	uint64_t bias;	       /* dlpi_addr */
	uint64_t eh_frame_hdr; /* address of PT_GNU_EH_FRAME, 0 = none */
	uint64_t eh_frame_hdr_bytes;
	uint64_t frames_low; /* [low, high): the readable segment that holds it */
	uint64_t frames_high;
	uint32_t id; /* in the module table of the present trace; 0 = not there */
};

#endif

#include "tools/render/json_frames.h"

static void
print_frame(struct vmt_emitter *emitter, const struct vmt_frame *frame, bool address)
{
	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "function", frame->function);
	vmt_emitter_string(emitter, "file", frame->file);
	if (frame->line)
		vmt_emitter_u64(emitter, "line", frame->line);
	else
		vmt_emitter_string(emitter, "line", NULL);
	vmt_emitter_string(emitter, "module", frame->module);
	if (address)
		vmt_emitter_address(emitter, "address", frame->address);
	vmt_emitter_address(emitter, "module_offset", frame->module_offset);
	vmt_emitter_bool(emitter, "inlined", frame->inlined);
	vmt_emitter_object_end(emitter);
}

void
vmt_json_frames_print(struct vmt_emitter *emitter, const struct vmt_stack_frames *stack,
		      bool addresses)
{
	vmt_emitter_array(emitter, "frames");
	for (size_t i = 0; i < stack->count; i++)
		print_frame(emitter, &stack->frames[i], addresses);
	vmt_emitter_array_end(emitter);
}

static void
print_pattern(struct vmt_emitter *emitter, const char *key, const struct vmt_name_pattern *pattern)
{
	vmt_emitter_string(emitter, key, pattern ? vmt_name_pattern_text(pattern) : NULL);
}

void
vmt_json_frames_patterns(struct vmt_emitter *emitter, const struct vmt_selection_patterns *patterns)
{
	print_pattern(emitter, "focus", patterns->focus);
	print_pattern(emitter, "ignore", patterns->ignore);
	print_pattern(emitter, "hide", patterns->hide);
	print_pattern(emitter, "match", patterns->match);
}

#include "capture/core/recording.h"

struct vmt_recording vmt_recording;

/* What an image has at the place of a volume goes into the volume, once in the volume's life. */
#ifndef ROOTLESS_COPY_UP_H
#define ROOTLESS_COPY_UP_H
#include "launch/plan.h"
int do_copy_up(struct plan *plan, const struct record *r);
#endif

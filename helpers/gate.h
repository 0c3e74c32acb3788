/* What a container of the OCI runtime's `create` does beside the plan: hooks, and waiting for `start`. */
#ifndef ROOTLESS_GATE_H
#define ROOTLESS_GATE_H
#include "plan.h"

void gate_pid(int pid); /* who we are outside, for the hooks from now on */
#endif

/* The operations of a launch plan that make the root file system. */
#include "launch/plan.h"

/** All GPUs of NVIDIA's, by the name that the Container Device Interface has for them. */
export const allGpus = "nvidia.com/gpu=all";

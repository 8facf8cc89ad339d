import type { StaticCheck } from "./check.ts";
import { configCommand, configExecForm } from "./checks/config-command.ts";
import { configHealthcheck, configHealthcheckProbe } from "./checks/config-health.ts";
import { configSecret } from "./checks/config-secret.ts";
import { configEnv, configLabels, configPorts, configStopSignal } from "./checks/config-settings.ts";
import { configUser, configUserName } from "./checks/config-user.ts";
import { dockerfileArgs, dockerfileBase, dockerfileIgnore } from "./checks/dockerfile.ts";
import { dockerfileImage } from "./checks/dockerfile-image.ts";
import { filesDevices, filesSetuid, filesTmp, filesWorldWritable } from "./checks/files-modes.ts";
import { filesSecret, filesUnwanted } from "./checks/files-unwanted.ts";
import { filesDeleted, filesDuplicates, filesReplaced } from "./checks/files-waste.ts";
import { formatChecks } from "./checks/format.ts";
import { gpuCudaAbsent, gpuCudaVersion, gpuDriverLibrary, gpuOneCuda } from "./checks/gpu.ts";
import { gpuMinDriver } from "./checks/gpu-driver.ts";
import { gpuTargets } from "./checks/gpu-targets.ts";
import { nativeArchitecture, nativeLibraries, nativeSymbols } from "./checks/native.ts";
import { pythonBytecode } from "./checks/python-bytecode.ts";
import {
  pythonDependencies,
  pythonEditable,
  pythonRecord,
  pythonScripts,
  pythonVersions,
} from "./checks/python-installed.ts";
import { pythonImports, pythonStart } from "./checks/python-start.ts";
import { scannerDistributions, scannerHistory, scannerOs, scannerPackages } from "./checks/scanner.ts";
import { sizeCompressed, sizeLayer, sizeLayers, sizeUnpacked } from "./checks/size.ts";

/** Every check that needs the image's bytes alone, in the order in which they are shown. */
export const staticChecks: readonly StaticCheck[] = [
  ...formatChecks,
  configUser,
  configUserName,
  configHealthcheck,
  configHealthcheckProbe,
  configCommand,
  configExecForm,
  configPorts,
  configStopSignal,
  configEnv,
  configSecret,
  configLabels,
  filesSecret,
  ...filesUnwanted,
  filesWorldWritable,
  filesTmp,
  filesSetuid,
  filesDevices,
  filesDeleted,
  filesReplaced,
  filesDuplicates,
  pythonStart,
  pythonImports,
  pythonRecord,
  pythonDependencies,
  pythonVersions,
  pythonEditable,
  pythonScripts,
  pythonBytecode,
  nativeLibraries,
  nativeArchitecture,
  nativeSymbols,
  gpuCudaAbsent,
  gpuOneCuda,
  gpuCudaVersion,
  gpuDriverLibrary,
  gpuTargets,
  gpuMinDriver,
  sizeUnpacked,
  sizeCompressed,
  sizeLayer,
  sizeLayers,
  scannerOs,
  scannerPackages,
  scannerDistributions,
  scannerHistory,
  dockerfileImage,
  dockerfileArgs,
  dockerfileBase,
  dockerfileIgnore,
];

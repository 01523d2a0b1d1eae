/** Bodies of a real pilot3 3.11.5.1 as it sent them, in base64: gzip, without a Content-Encoding. */
export const CAPTURED = {
  getJob:
    'H4sIAIXR/2oC/12OwQqCQBCGX0X2HLJGCnUV6RIV6F1WndLadZbZXUWid283IqLb8H0z/z8PZgYLR6GA7SKWn+uqKCu2iliLSjs7' +
    'jNdCgoLR/mlN2JXoqIWDaEAG6wxQUN1g7qUWbUhMOOcezUh3H7UndDqsvgu08+M63WZxst54oEAFsEl4GqeZByN2768mFfZv2FSL' +
    'ht8mISXOJ9sD5ehGS4uXFyENeNcLmsBYoHrowk2r6y9in5e+MuUJe74AkgYxhwsBAAA=',
  updateWorkerPilotStatus:
    'H4sIAIXR/2oC/6tWKs8vyk4t8nRRslJQMjUwVNJRUMpILCpLLS6BiSYXxMNFQNLFJYklpcUgGSCrqCQ1BSyYWZIKEnIOiA9xDQ4B' +
    'CeXlp6TGZ6aARMtylWoBI1nBXGsAAAA=',
  updateJob:
    'H4sIAIXR/2oC/1WOwU7DMBBEf8XyNSTadZJWza0kPVSIKqIBwQmZxALT2I6cDSBR/p04ogeO83Zmdr75u3vZd7xgPANAfsX4SJJU' +
    'AH6yVtvXwEgbNXMzBC5ArGLEWEADWZFDgWkEUAAsaU3qIM1SUNbPze7YBGxdt6APE5QkUmagg58RhlD7prqpV35fBdNkT9Z92uAc' +
    'dO/oHz3Xd+c0QUzy5DLXU6OXj7je5JiDwDRZb9IVhO4v04d0sBpFspIkL7p1XpVusvQ3ox2m0tlxmqdpZ++tDgc+Rtvbiu3qp5Ih' +
    'iIzdXDMRl3OU1d61ahydZxgfXXtSFG0fHgX/+QW8cqwPVgEAAA==',
} as const;

/** The answer to getJob that the pilot took and ran. */
export const JOB_REPLY =
  'StatusCode=0&PandaID=4001&prodSourceLabel=user&swRelease=NULL&homepackage=NULL&transformation=http%3' +
  'A%2F%2F127.0.0.1%3A28085%2Ftrf%2Fuser%2Fhello.sh&jobName=cp.test.0001&jobDefinitionID=11&cloud=WORLD' +
  '&inFiles=&dispatchDblock=&dispatchDBlockToken=&dispatchDBlockTokenForOut=NULL%2CNULL&outFiles=user.c' +
  'p.0001.out.txt%2Cuser.cp.0001.log.tgz&destinationDblock=user.cp.out%2Cuser.cp.log&destinationDBlockT' +
  'oken=NULL%2CNULL&prodDBlocks=&prodDBlockToken=&realDatasets=user.cp%3Auser.cp.out%2Cuser.cp%3Auser.c' +
  'p.log&realDatasetsIn=&fileDestinationSE=CP_DISK%2CCP_DISK&logFile=user.cp.0001.log.tgz&logGUID=6cd7f' +
  '2a0-0f7e-4a39-bb0b-1a3c9a7b0001&jobPars=--n+1&attemptNr=1&GUID=&checksum=&fsize=&scopeIn=&scopeOut=u' +
  'ser.cp&scopeLog=user.cp&ddmEndPointIn=&ddmEndPointOut=CP_DISK%2CCP_DISK&destinationSE=CP_TEST&prodUs' +
  'erID=cp+robot&maxCpuCount=3600&minRamCount=1000&maxDiskCount=500&cmtConfig=&processingType=panda-cli' +
  'ent&transferType=NULL&sourceSite=NULL&currentPriority=1000&taskID=77&coreCount=1&jobsetID=88&reqID=9' +
  '9&nucleus=NULL&maxWalltime=3600&resource_type=SCORE&ioIntensity=None&ioIntensityUnit=None&nSent=0';

// Generated from protocol/schemas by `npm run generate`; do not edit.
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);

export const isAgentHello = validate20;
const schema31 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"agent-hello.schema.json","title":"AgentHello","description":"Payload of handshake message 3 (XX): who the agent is.","type":"object","properties":{"kind":{"const":"agent-hello"},"identity":{"type":"string","minLength":1,"maxLength":900,"pattern":"^[A-Za-z0-9_.-]+$","description":"The identity: an ES256 JWT."},"session":{"$ref":"common.schema.json#/$defs/sessionId"},"version":{"$ref":"common.schema.json#/$defs/version"},"start":{"$ref":"common.schema.json#/$defs/startId"}},"required":["kind","identity","session","version","start"],"additionalProperties":false};
const schema33 = {"type":"string","maxLength":16,"pattern":"^[0-9a-f]{16}$","description":"A session as its receiver knows it: 8 bytes in lower-case hex."};
const schema34 = {"type":"integer","minimum":1,"maximum":1000,"description":"Version of this protocol."};
const schema35 = {"type":"string","maxLength":26,"pattern":"^[a-z2-7]{26}$","description":"A random id of one start of a program: 128 bits in lower-case base32."};
const func1 = require("ajv/dist/runtime/ucs2length").default;
const pattern4 = new RegExp("^[A-Za-z0-9_.-]+$", "u");
const pattern5 = new RegExp("^[0-9a-f]{16}$", "u");
const pattern6 = new RegExp("^[a-z2-7]{26}$", "u");

function validate20(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="agent-hello.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate20.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.kind === undefined) && (missing0 = "kind")) || ((data.identity === undefined) && (missing0 = "identity"))) || ((data.session === undefined) && (missing0 = "session"))) || ((data.version === undefined) && (missing0 = "version"))) || ((data.start === undefined) && (missing0 = "start"))){
validate20.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "kind") || (key0 === "identity")) || (key0 === "session")) || (key0 === "version")) || (key0 === "start"))){
validate20.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("agent-hello" !== data.kind){
validate20.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "agent-hello"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.identity !== undefined){
let data1 = data.identity;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data1 === "string"){
if(func1(data1) > 900){
validate20.errors = [{instancePath:instancePath+"/identity",schemaPath:"#/properties/identity/maxLength",keyword:"maxLength",params:{limit: 900},message:"must NOT have more than 900 characters"}];
return false;
}
else {
if(func1(data1) < 1){
validate20.errors = [{instancePath:instancePath+"/identity",schemaPath:"#/properties/identity/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern4.test(data1)){
validate20.errors = [{instancePath:instancePath+"/identity",schemaPath:"#/properties/identity/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_.-]+$"},message:"must match pattern \""+"^[A-Za-z0-9_.-]+$"+"\""}];
return false;
}
}
}
}
else {
validate20.errors = [{instancePath:instancePath+"/identity",schemaPath:"#/properties/identity/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.session !== undefined){
let data2 = data.session;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 16){
validate20.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/maxLength",keyword:"maxLength",params:{limit: 16},message:"must NOT have more than 16 characters"}];
return false;
}
else {
if(!pattern5.test(data2)){
validate20.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{16}$"},message:"must match pattern \""+"^[0-9a-f]{16}$"+"\""}];
return false;
}
}
}
else {
validate20.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.version !== undefined){
let data3 = data.version;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate20.errors = [{instancePath:instancePath+"/version",schemaPath:"common.schema.json#/$defs/version/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000 || isNaN(data3)){
validate20.errors = [{instancePath:instancePath+"/version",schemaPath:"common.schema.json#/$defs/version/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000},message:"must be <= 1000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate20.errors = [{instancePath:instancePath+"/version",schemaPath:"common.schema.json#/$defs/version/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.start !== undefined){
let data4 = data.start;
const _errs11 = errors;
const _errs12 = errors;
if(errors === _errs12){
if(typeof data4 === "string"){
if(func1(data4) > 26){
validate20.errors = [{instancePath:instancePath+"/start",schemaPath:"common.schema.json#/$defs/startId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data4)){
validate20.errors = [{instancePath:instancePath+"/start",schemaPath:"common.schema.json#/$defs/startId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate20.errors = [{instancePath:instancePath+"/start",schemaPath:"common.schema.json#/$defs/startId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate20.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate20.errors = vErrors;
return errors === 0;
}
validate20.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isAnswers = validate22;
const schema36 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"answers.schema.json","title":"Answers","description":"Trusted side: answers to some items of earlier batches, in any order.","type":"object","properties":{"kind":{"const":"answers"},"items":{"type":"array","items":{"oneOf":[{"$ref":"common.schema.json#/$defs/resultOk"},{"$ref":"common.schema.json#/$defs/resultRefused"},{"$ref":"common.schema.json#/$defs/resultJobs"},{"$ref":"common.schema.json#/$defs/resultCalled"},{"$ref":"common.schema.json#/$defs/resultParts"},{"$ref":"common.schema.json#/$defs/resultCapabilities"},{"$ref":"common.schema.json#/$defs/resultVerified"},{"$ref":"common.schema.json#/$defs/resultMismatch"}]},"minItems":1,"maxItems":256}},"required":["kind","items"],"additionalProperties":false};
const schema37 = {"type":"object","properties":{"result":{"const":"ok"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"events":{"type":"integer","minimum":0,"maximum":1000000000,"description":"Of `finished` alone: of how many events the framework's job was; left out where the framework counts none."}},"required":["result","item"],"additionalProperties":false};
const schema38 = {"type":"object","properties":{"result":{"const":"refused"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"code":{"$ref":"common.schema.json#/$defs/errorCode"},"message":{"$ref":"common.schema.json#/$defs/text"}},"required":["result","item","code","message"],"additionalProperties":false};
const schema39 = {"type":"string","minLength":1,"maxLength":64,"pattern":"^[A-Z][A-Z0-9_]*$","description":"A stable code; docs/errors.md lists them."};
const schema40 = {"type":"string","maxLength":512,"description":"A sentence for people; never parsed."};
const pattern7 = new RegExp("^[A-Z][A-Z0-9_]*$", "u");

function validate23(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate23.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((data.result === undefined) && (missing0 = "result")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.code === undefined) && (missing0 = "code"))) || ((data.message === undefined) && (missing0 = "message"))){
validate23.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "result") || (key0 === "item")) || (key0 === "code")) || (key0 === "message"))){
validate23.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.result !== undefined){
const _errs2 = errors;
if("refused" !== data.result){
validate23.errors = [{instancePath:instancePath+"/result",schemaPath:"#/properties/result/const",keyword:"const",params:{allowedValue: "refused"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate23.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate23.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate23.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.code !== undefined){
let data2 = data.code;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate23.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data2) < 1){
validate23.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern7.test(data2)){
validate23.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/pattern",keyword:"pattern",params:{pattern: "^[A-Z][A-Z0-9_]*$"},message:"must match pattern \""+"^[A-Z][A-Z0-9_]*$"+"\""}];
return false;
}
}
}
}
else {
validate23.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.message !== undefined){
let data3 = data.message;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data3 === "string"){
if(func1(data3) > 512){
validate23.errors = [{instancePath:instancePath+"/message",schemaPath:"common.schema.json#/$defs/text/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
}
else {
validate23.errors = [{instancePath:instancePath+"/message",schemaPath:"common.schema.json#/$defs/text/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate23.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate23.errors = vErrors;
return errors === 0;
}
validate23.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema41 = {"type":"object","properties":{"result":{"const":"jobs"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"jobs":{"type":"array","items":{"$ref":"common.schema.json#/$defs/newJob"},"maxItems":64},"more":{"type":"boolean"}},"required":["result","item","jobs","more"],"additionalProperties":false};
const schema42 = {"type":"object","description":"A job as a job adapter hands it over.","properties":{"job":{"$ref":"common.schema.json#/$defs/jobId"},"ref":{"type":"string","maxLength":256,"pattern":"^[ -~]*$","description":"The framework's own name."},"owner":{"$ref":"common.schema.json#/$defs/name"},"site":{"$ref":"common.schema.json#/$defs/name"},"campaign":{"$ref":"common.schema.json#/$defs/name"},"priority":{"type":"integer","minimum":-1000,"maximum":1000},"retries":{"type":"integer","minimum":0,"maximum":100},"description":{"$ref":"common.schema.json#/$defs/description"},"state":{"type":"string","maxLength":4096,"description":"Opaque to the broker."}},"required":["job","ref","owner","site","campaign","priority","retries","description"],"additionalProperties":false};
const schema43 = {"type":"string","maxLength":26,"pattern":"^[a-z2-7]{26}$","description":"A job, as the ledger names it: 128 bits in lower-case base32."};
const schema44 = {"type":"string","minLength":1,"maxLength":64,"pattern":"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$","description":"A queue, installation, service or owner."};
const func8 = Object.prototype.hasOwnProperty;
const pattern9 = new RegExp("^[ -~]*$", "u");
const pattern10 = new RegExp("^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$", "u");
const schema47 = {"type":"object","description":"What to run; at most 12 KiB as JSON.","properties":{"command":{"type":"string","minLength":1,"maxLength":1024,"pattern":"^[^\\u0000-\\u001f]+$","description":"Program: a name on the path, or an input by its name with ./ before it."},"arguments":{"type":"array","items":{"type":"string","maxLength":4096,"pattern":"^[^\\u0000]*$"},"maxItems":256},"environment":{"type":"object","maxProperties":128,"propertyNames":{"$ref":"common.schema.json#/$defs/environmentName"},"additionalProperties":{"type":"string","maxLength":4096,"pattern":"^[^\\u0000]*$"}},"inputs":{"type":"array","items":{"$ref":"common.schema.json#/$defs/input"},"maxItems":16},"outputs":{"type":"array","items":{"$ref":"common.schema.json#/$defs/output"},"maxItems":16},"limits":{"$ref":"common.schema.json#/$defs/limits"},"requirements":{"type":"string","maxLength":4096,"description":"A ClassAd expression over the host ad; empty: any host."},"pilot":{"$ref":"common.schema.json#/$defs/pilot"},"parts":{"const":true,"description":"The job takes and finishes sub-units while it runs."}},"required":["command","arguments","environment","inputs","outputs","limits","requirements"],"additionalProperties":false};
const schema48 = {"type":"string","minLength":1,"maxLength":128,"pattern":"^[A-Za-z_][A-Za-z0-9_]*$"};
const schema56 = {"type":"object","description":"Bounds the agent enforces.","properties":{"wallSeconds":{"type":"integer","minimum":1,"maximum":2592000},"cpuSeconds":{"type":"integer","minimum":1,"maximum":31104000},"memoryMiB":{"type":"integer","minimum":16,"maximum":16777216},"diskMiB":{"type":"integer","minimum":1,"maximum":16777216},"processes":{"type":"integer","minimum":1,"maximum":65536}},"required":["wallSeconds","memoryMiB","diskMiB"],"additionalProperties":false};
const schema57 = {"type":"object","description":"The job is a framework's own pilot: the agent answers it on the loopback and asks the adapter by call.","properties":{"dialect":{"enum":["panda"]}},"required":["dialect"],"additionalProperties":false};
const pattern13 = new RegExp("^[^\\u0000-\\u001f]+$", "u");
const pattern14 = new RegExp("^[^\\u0000]*$", "u");
const pattern15 = new RegExp("^[A-Za-z_][A-Za-z0-9_]*$", "u");
const schema49 = {"type":"object","description":"A file the job needs before it starts.","properties":{"name":{"$ref":"common.schema.json#/$defs/fileName"},"size":{"$ref":"common.schema.json#/$defs/size"},"sha256":{"$ref":"common.schema.json#/$defs/sha256"},"executable":{"type":"boolean"}},"required":["name","size","sha256"],"additionalProperties":false};
const schema50 = {"type":"string","minLength":1,"maxLength":128,"pattern":"^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$","description":"A relative name: segments of letters, digits and ._+=,@- that do not start with a dot, joined by single slashes."};
const schema51 = {"type":"integer","minimum":0,"maximum":1099511627776,"description":"Bytes; at most 1 TiB."};
const schema52 = {"type":"string","maxLength":64,"pattern":"^[0-9a-f]{64}$","description":"SHA-256 in lower-case hex."};
const pattern17 = new RegExp("^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$", "u");
const pattern18 = new RegExp("^[0-9a-f]{64}$", "u");

function validate28(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate28.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.name === undefined) && (missing0 = "name")) || ((data.size === undefined) && (missing0 = "size"))) || ((data.sha256 === undefined) && (missing0 = "sha256"))){
validate28.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "name") || (key0 === "size")) || (key0 === "sha256")) || (key0 === "executable"))){
validate28.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.name !== undefined){
let data0 = data.name;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 128){
validate28.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate28.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern17.test(data0)){
validate28.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"},message:"must match pattern \""+"^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"+"\""}];
return false;
}
}
}
}
else {
validate28.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.size !== undefined){
let data1 = data.size;
const _errs5 = errors;
const _errs6 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate28.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs6){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 1099511627776 || isNaN(data1)){
validate28.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1099511627776},message:"must be <= 1099511627776"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate28.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.sha256 !== undefined){
let data2 = data.sha256;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate28.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(!pattern18.test(data2)){
validate28.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{64}$"},message:"must match pattern \""+"^[0-9a-f]{64}$"+"\""}];
return false;
}
}
}
else {
validate28.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.executable !== undefined){
const _errs11 = errors;
if(typeof data.executable !== "boolean"){
validate28.errors = [{instancePath:instancePath+"/executable",schemaPath:"#/properties/executable/type",keyword:"type",params:{type: "boolean"},message:"must be boolean"}];
return false;
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate28.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate28.errors = vErrors;
return errors === 0;
}
validate28.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema53 = {"type":"object","description":"A file the job is expected to leave.","properties":{"name":{"$ref":"common.schema.json#/$defs/fileName"},"optional":{"type":"boolean"},"maxBytes":{"$ref":"common.schema.json#/$defs/size"}},"required":["name"],"additionalProperties":false};

function validate30(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate30.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((data.name === undefined) && (missing0 = "name")){
validate30.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((key0 === "name") || (key0 === "optional")) || (key0 === "maxBytes"))){
validate30.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.name !== undefined){
let data0 = data.name;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 128){
validate30.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate30.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern17.test(data0)){
validate30.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"},message:"must match pattern \""+"^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"+"\""}];
return false;
}
}
}
}
else {
validate30.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.optional !== undefined){
const _errs5 = errors;
if(typeof data.optional !== "boolean"){
validate30.errors = [{instancePath:instancePath+"/optional",schemaPath:"#/properties/optional/type",keyword:"type",params:{type: "boolean"},message:"must be boolean"}];
return false;
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.maxBytes !== undefined){
let data2 = data.maxBytes;
const _errs7 = errors;
const _errs8 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate30.errors = [{instancePath:instancePath+"/maxBytes",schemaPath:"common.schema.json#/$defs/size/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs8){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 1099511627776 || isNaN(data2)){
validate30.errors = [{instancePath:instancePath+"/maxBytes",schemaPath:"common.schema.json#/$defs/size/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1099511627776},message:"must be <= 1099511627776"}];
return false;
}
else {
if(data2 < 0 || isNaN(data2)){
validate30.errors = [{instancePath:instancePath+"/maxBytes",schemaPath:"common.schema.json#/$defs/size/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs7 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
else {
validate30.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate30.errors = vErrors;
return errors === 0;
}
validate30.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate27(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate27.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((((data.command === undefined) && (missing0 = "command")) || ((data.arguments === undefined) && (missing0 = "arguments"))) || ((data.environment === undefined) && (missing0 = "environment"))) || ((data.inputs === undefined) && (missing0 = "inputs"))) || ((data.outputs === undefined) && (missing0 = "outputs"))) || ((data.limits === undefined) && (missing0 = "limits"))) || ((data.requirements === undefined) && (missing0 = "requirements"))){
validate27.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(func8.call(schema47.properties, key0))){
validate27.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.command !== undefined){
let data0 = data.command;
const _errs2 = errors;
if(errors === _errs2){
if(typeof data0 === "string"){
if(func1(data0) > 1024){
validate27.errors = [{instancePath:instancePath+"/command",schemaPath:"#/properties/command/maxLength",keyword:"maxLength",params:{limit: 1024},message:"must NOT have more than 1024 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate27.errors = [{instancePath:instancePath+"/command",schemaPath:"#/properties/command/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern13.test(data0)){
validate27.errors = [{instancePath:instancePath+"/command",schemaPath:"#/properties/command/pattern",keyword:"pattern",params:{pattern: "^[^\\u0000-\\u001f]+$"},message:"must match pattern \""+"^[^\\u0000-\\u001f]+$"+"\""}];
return false;
}
}
}
}
else {
validate27.errors = [{instancePath:instancePath+"/command",schemaPath:"#/properties/command/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.arguments !== undefined){
let data1 = data.arguments;
const _errs4 = errors;
if(errors === _errs4){
if(Array.isArray(data1)){
if(data1.length > 256){
validate27.errors = [{instancePath:instancePath+"/arguments",schemaPath:"#/properties/arguments/maxItems",keyword:"maxItems",params:{limit: 256},message:"must NOT have more than 256 items"}];
return false;
}
else {
var valid1 = true;
const len0 = data1.length;
for(let i0=0; i0<len0; i0++){
let data2 = data1[i0];
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 4096){
validate27.errors = [{instancePath:instancePath+"/arguments/" + i0,schemaPath:"#/properties/arguments/items/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
else {
if(!pattern14.test(data2)){
validate27.errors = [{instancePath:instancePath+"/arguments/" + i0,schemaPath:"#/properties/arguments/items/pattern",keyword:"pattern",params:{pattern: "^[^\\u0000]*$"},message:"must match pattern \""+"^[^\\u0000]*$"+"\""}];
return false;
}
}
}
else {
validate27.errors = [{instancePath:instancePath+"/arguments/" + i0,schemaPath:"#/properties/arguments/items/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid1 = _errs6 === errors;
if(!valid1){
break;
}
}
}
}
else {
validate27.errors = [{instancePath:instancePath+"/arguments",schemaPath:"#/properties/arguments/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs4 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.environment !== undefined){
let data3 = data.environment;
const _errs8 = errors;
if(errors === _errs8){
if(data3 && typeof data3 == "object" && !Array.isArray(data3)){
if(Object.keys(data3).length > 128){
validate27.errors = [{instancePath:instancePath+"/environment",schemaPath:"#/properties/environment/maxProperties",keyword:"maxProperties",params:{limit: 128},message:"must NOT have more than 128 properties"}];
return false;
}
else {
for(const key1 in data3){
const _errs10 = errors;
const _errs11 = errors;
if(errors === _errs11){
if(typeof key1 === "string"){
if(func1(key1) > 128){
const err0 = {instancePath:instancePath+"/environment",schemaPath:"common.schema.json#/$defs/environmentName/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters",propertyName:key1};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
else {
if(func1(key1) < 1){
const err1 = {instancePath:instancePath+"/environment",schemaPath:"common.schema.json#/$defs/environmentName/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters",propertyName:key1};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
}
else {
if(!pattern15.test(key1)){
const err2 = {instancePath:instancePath+"/environment",schemaPath:"common.schema.json#/$defs/environmentName/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z_][A-Za-z0-9_]*$"},message:"must match pattern \""+"^[A-Za-z_][A-Za-z0-9_]*$"+"\"",propertyName:key1};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
}
}
}
else {
const err3 = {instancePath:instancePath+"/environment",schemaPath:"common.schema.json#/$defs/environmentName/type",keyword:"type",params:{type: "string"},message:"must be string",propertyName:key1};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
}
}
var valid2 = _errs10 === errors;
if(!valid2){
const err4 = {instancePath:instancePath+"/environment",schemaPath:"#/properties/environment/propertyNames",keyword:"propertyNames",params:{propertyName: key1},message:"property name must be valid"};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
validate27.errors = vErrors;
return false;
break;
}
}
if(valid2){
for(const key2 in data3){
let data4 = data3[key2];
const _errs14 = errors;
if(errors === _errs14){
if(typeof data4 === "string"){
if(func1(data4) > 4096){
validate27.errors = [{instancePath:instancePath+"/environment/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"#/properties/environment/additionalProperties/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
else {
if(!pattern14.test(data4)){
validate27.errors = [{instancePath:instancePath+"/environment/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"#/properties/environment/additionalProperties/pattern",keyword:"pattern",params:{pattern: "^[^\\u0000]*$"},message:"must match pattern \""+"^[^\\u0000]*$"+"\""}];
return false;
}
}
}
else {
validate27.errors = [{instancePath:instancePath+"/environment/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"#/properties/environment/additionalProperties/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid4 = _errs14 === errors;
if(!valid4){
break;
}
}
}
}
}
else {
validate27.errors = [{instancePath:instancePath+"/environment",schemaPath:"#/properties/environment/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.inputs !== undefined){
let data5 = data.inputs;
const _errs16 = errors;
if(errors === _errs16){
if(Array.isArray(data5)){
if(data5.length > 16){
validate27.errors = [{instancePath:instancePath+"/inputs",schemaPath:"#/properties/inputs/maxItems",keyword:"maxItems",params:{limit: 16},message:"must NOT have more than 16 items"}];
return false;
}
else {
var valid5 = true;
const len1 = data5.length;
for(let i1=0; i1<len1; i1++){
const _errs18 = errors;
if(!(validate28(data5[i1], {instancePath:instancePath+"/inputs/" + i1,parentData:data5,parentDataProperty:i1,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate28.errors : vErrors.concat(validate28.errors);
errors = vErrors.length;
}
var valid5 = _errs18 === errors;
if(!valid5){
break;
}
}
}
}
else {
validate27.errors = [{instancePath:instancePath+"/inputs",schemaPath:"#/properties/inputs/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs16 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.outputs !== undefined){
let data7 = data.outputs;
const _errs19 = errors;
if(errors === _errs19){
if(Array.isArray(data7)){
if(data7.length > 16){
validate27.errors = [{instancePath:instancePath+"/outputs",schemaPath:"#/properties/outputs/maxItems",keyword:"maxItems",params:{limit: 16},message:"must NOT have more than 16 items"}];
return false;
}
else {
var valid6 = true;
const len2 = data7.length;
for(let i2=0; i2<len2; i2++){
const _errs21 = errors;
if(!(validate30(data7[i2], {instancePath:instancePath+"/outputs/" + i2,parentData:data7,parentDataProperty:i2,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate30.errors : vErrors.concat(validate30.errors);
errors = vErrors.length;
}
var valid6 = _errs21 === errors;
if(!valid6){
break;
}
}
}
}
else {
validate27.errors = [{instancePath:instancePath+"/outputs",schemaPath:"#/properties/outputs/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs19 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.limits !== undefined){
let data9 = data.limits;
const _errs22 = errors;
const _errs23 = errors;
if(errors === _errs23){
if(data9 && typeof data9 == "object" && !Array.isArray(data9)){
let missing1;
if((((data9.wallSeconds === undefined) && (missing1 = "wallSeconds")) || ((data9.memoryMiB === undefined) && (missing1 = "memoryMiB"))) || ((data9.diskMiB === undefined) && (missing1 = "diskMiB"))){
validate27.errors = [{instancePath:instancePath+"/limits",schemaPath:"common.schema.json#/$defs/limits/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"}];
return false;
}
else {
const _errs25 = errors;
for(const key3 in data9){
if(!(((((key3 === "wallSeconds") || (key3 === "cpuSeconds")) || (key3 === "memoryMiB")) || (key3 === "diskMiB")) || (key3 === "processes"))){
validate27.errors = [{instancePath:instancePath+"/limits",schemaPath:"common.schema.json#/$defs/limits/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key3},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs25 === errors){
if(data9.wallSeconds !== undefined){
let data10 = data9.wallSeconds;
const _errs26 = errors;
if(!(((typeof data10 == "number") && (!(data10 % 1) && !isNaN(data10))) && (isFinite(data10)))){
validate27.errors = [{instancePath:instancePath+"/limits/wallSeconds",schemaPath:"common.schema.json#/$defs/limits/properties/wallSeconds/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs26){
if((typeof data10 == "number") && (isFinite(data10))){
if(data10 > 2592000 || isNaN(data10)){
validate27.errors = [{instancePath:instancePath+"/limits/wallSeconds",schemaPath:"common.schema.json#/$defs/limits/properties/wallSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 2592000},message:"must be <= 2592000"}];
return false;
}
else {
if(data10 < 1 || isNaN(data10)){
validate27.errors = [{instancePath:instancePath+"/limits/wallSeconds",schemaPath:"common.schema.json#/$defs/limits/properties/wallSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid8 = _errs26 === errors;
}
else {
var valid8 = true;
}
if(valid8){
if(data9.cpuSeconds !== undefined){
let data11 = data9.cpuSeconds;
const _errs28 = errors;
if(!(((typeof data11 == "number") && (!(data11 % 1) && !isNaN(data11))) && (isFinite(data11)))){
validate27.errors = [{instancePath:instancePath+"/limits/cpuSeconds",schemaPath:"common.schema.json#/$defs/limits/properties/cpuSeconds/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs28){
if((typeof data11 == "number") && (isFinite(data11))){
if(data11 > 31104000 || isNaN(data11)){
validate27.errors = [{instancePath:instancePath+"/limits/cpuSeconds",schemaPath:"common.schema.json#/$defs/limits/properties/cpuSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 31104000},message:"must be <= 31104000"}];
return false;
}
else {
if(data11 < 1 || isNaN(data11)){
validate27.errors = [{instancePath:instancePath+"/limits/cpuSeconds",schemaPath:"common.schema.json#/$defs/limits/properties/cpuSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid8 = _errs28 === errors;
}
else {
var valid8 = true;
}
if(valid8){
if(data9.memoryMiB !== undefined){
let data12 = data9.memoryMiB;
const _errs30 = errors;
if(!(((typeof data12 == "number") && (!(data12 % 1) && !isNaN(data12))) && (isFinite(data12)))){
validate27.errors = [{instancePath:instancePath+"/limits/memoryMiB",schemaPath:"common.schema.json#/$defs/limits/properties/memoryMiB/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs30){
if((typeof data12 == "number") && (isFinite(data12))){
if(data12 > 16777216 || isNaN(data12)){
validate27.errors = [{instancePath:instancePath+"/limits/memoryMiB",schemaPath:"common.schema.json#/$defs/limits/properties/memoryMiB/maximum",keyword:"maximum",params:{comparison: "<=", limit: 16777216},message:"must be <= 16777216"}];
return false;
}
else {
if(data12 < 16 || isNaN(data12)){
validate27.errors = [{instancePath:instancePath+"/limits/memoryMiB",schemaPath:"common.schema.json#/$defs/limits/properties/memoryMiB/minimum",keyword:"minimum",params:{comparison: ">=", limit: 16},message:"must be >= 16"}];
return false;
}
}
}
}
var valid8 = _errs30 === errors;
}
else {
var valid8 = true;
}
if(valid8){
if(data9.diskMiB !== undefined){
let data13 = data9.diskMiB;
const _errs32 = errors;
if(!(((typeof data13 == "number") && (!(data13 % 1) && !isNaN(data13))) && (isFinite(data13)))){
validate27.errors = [{instancePath:instancePath+"/limits/diskMiB",schemaPath:"common.schema.json#/$defs/limits/properties/diskMiB/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs32){
if((typeof data13 == "number") && (isFinite(data13))){
if(data13 > 16777216 || isNaN(data13)){
validate27.errors = [{instancePath:instancePath+"/limits/diskMiB",schemaPath:"common.schema.json#/$defs/limits/properties/diskMiB/maximum",keyword:"maximum",params:{comparison: "<=", limit: 16777216},message:"must be <= 16777216"}];
return false;
}
else {
if(data13 < 1 || isNaN(data13)){
validate27.errors = [{instancePath:instancePath+"/limits/diskMiB",schemaPath:"common.schema.json#/$defs/limits/properties/diskMiB/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid8 = _errs32 === errors;
}
else {
var valid8 = true;
}
if(valid8){
if(data9.processes !== undefined){
let data14 = data9.processes;
const _errs34 = errors;
if(!(((typeof data14 == "number") && (!(data14 % 1) && !isNaN(data14))) && (isFinite(data14)))){
validate27.errors = [{instancePath:instancePath+"/limits/processes",schemaPath:"common.schema.json#/$defs/limits/properties/processes/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs34){
if((typeof data14 == "number") && (isFinite(data14))){
if(data14 > 65536 || isNaN(data14)){
validate27.errors = [{instancePath:instancePath+"/limits/processes",schemaPath:"common.schema.json#/$defs/limits/properties/processes/maximum",keyword:"maximum",params:{comparison: "<=", limit: 65536},message:"must be <= 65536"}];
return false;
}
else {
if(data14 < 1 || isNaN(data14)){
validate27.errors = [{instancePath:instancePath+"/limits/processes",schemaPath:"common.schema.json#/$defs/limits/properties/processes/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid8 = _errs34 === errors;
}
else {
var valid8 = true;
}
}
}
}
}
}
}
}
else {
validate27.errors = [{instancePath:instancePath+"/limits",schemaPath:"common.schema.json#/$defs/limits/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid0 = _errs22 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.requirements !== undefined){
let data15 = data.requirements;
const _errs36 = errors;
if(errors === _errs36){
if(typeof data15 === "string"){
if(func1(data15) > 4096){
validate27.errors = [{instancePath:instancePath+"/requirements",schemaPath:"#/properties/requirements/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
}
else {
validate27.errors = [{instancePath:instancePath+"/requirements",schemaPath:"#/properties/requirements/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs36 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.pilot !== undefined){
let data16 = data.pilot;
const _errs38 = errors;
const _errs39 = errors;
if(errors === _errs39){
if(data16 && typeof data16 == "object" && !Array.isArray(data16)){
let missing2;
if((data16.dialect === undefined) && (missing2 = "dialect")){
validate27.errors = [{instancePath:instancePath+"/pilot",schemaPath:"common.schema.json#/$defs/pilot/required",keyword:"required",params:{missingProperty: missing2},message:"must have required property '"+missing2+"'"}];
return false;
}
else {
const _errs41 = errors;
for(const key4 in data16){
if(!(key4 === "dialect")){
validate27.errors = [{instancePath:instancePath+"/pilot",schemaPath:"common.schema.json#/$defs/pilot/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key4},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs41 === errors){
if(data16.dialect !== undefined){
if(!(data16.dialect === "panda")){
validate27.errors = [{instancePath:instancePath+"/pilot/dialect",schemaPath:"common.schema.json#/$defs/pilot/properties/dialect/enum",keyword:"enum",params:{allowedValues: schema57.properties.dialect.enum},message:"must be equal to one of the allowed values"}];
return false;
}
}
}
}
}
else {
validate27.errors = [{instancePath:instancePath+"/pilot",schemaPath:"common.schema.json#/$defs/pilot/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid0 = _errs38 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.parts !== undefined){
const _errs43 = errors;
if(true !== data.parts){
validate27.errors = [{instancePath:instancePath+"/parts",schemaPath:"#/properties/parts/const",keyword:"const",params:{allowedValue: true},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs43 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
}
}
else {
validate27.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate27.errors = vErrors;
return errors === 0;
}
validate27.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate26(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate26.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((((data.job === undefined) && (missing0 = "job")) || ((data.ref === undefined) && (missing0 = "ref"))) || ((data.owner === undefined) && (missing0 = "owner"))) || ((data.site === undefined) && (missing0 = "site"))) || ((data.campaign === undefined) && (missing0 = "campaign"))) || ((data.priority === undefined) && (missing0 = "priority"))) || ((data.retries === undefined) && (missing0 = "retries"))) || ((data.description === undefined) && (missing0 = "description"))){
validate26.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(func8.call(schema42.properties, key0))){
validate26.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.job !== undefined){
let data0 = data.job;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 26){
validate26.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data0)){
validate26.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate26.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.ref !== undefined){
let data1 = data.ref;
const _errs5 = errors;
if(errors === _errs5){
if(typeof data1 === "string"){
if(func1(data1) > 256){
validate26.errors = [{instancePath:instancePath+"/ref",schemaPath:"#/properties/ref/maxLength",keyword:"maxLength",params:{limit: 256},message:"must NOT have more than 256 characters"}];
return false;
}
else {
if(!pattern9.test(data1)){
validate26.errors = [{instancePath:instancePath+"/ref",schemaPath:"#/properties/ref/pattern",keyword:"pattern",params:{pattern: "^[ -~]*$"},message:"must match pattern \""+"^[ -~]*$"+"\""}];
return false;
}
}
}
else {
validate26.errors = [{instancePath:instancePath+"/ref",schemaPath:"#/properties/ref/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.owner !== undefined){
let data2 = data.owner;
const _errs7 = errors;
const _errs8 = errors;
if(errors === _errs8){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate26.errors = [{instancePath:instancePath+"/owner",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data2) < 1){
validate26.errors = [{instancePath:instancePath+"/owner",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data2)){
validate26.errors = [{instancePath:instancePath+"/owner",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate26.errors = [{instancePath:instancePath+"/owner",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs7 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.site !== undefined){
let data3 = data.site;
const _errs10 = errors;
const _errs11 = errors;
if(errors === _errs11){
if(typeof data3 === "string"){
if(func1(data3) > 64){
validate26.errors = [{instancePath:instancePath+"/site",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data3) < 1){
validate26.errors = [{instancePath:instancePath+"/site",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data3)){
validate26.errors = [{instancePath:instancePath+"/site",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate26.errors = [{instancePath:instancePath+"/site",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs10 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.campaign !== undefined){
let data4 = data.campaign;
const _errs13 = errors;
const _errs14 = errors;
if(errors === _errs14){
if(typeof data4 === "string"){
if(func1(data4) > 64){
validate26.errors = [{instancePath:instancePath+"/campaign",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data4) < 1){
validate26.errors = [{instancePath:instancePath+"/campaign",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data4)){
validate26.errors = [{instancePath:instancePath+"/campaign",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate26.errors = [{instancePath:instancePath+"/campaign",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs13 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.priority !== undefined){
let data5 = data.priority;
const _errs16 = errors;
if(!(((typeof data5 == "number") && (!(data5 % 1) && !isNaN(data5))) && (isFinite(data5)))){
validate26.errors = [{instancePath:instancePath+"/priority",schemaPath:"#/properties/priority/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs16){
if((typeof data5 == "number") && (isFinite(data5))){
if(data5 > 1000 || isNaN(data5)){
validate26.errors = [{instancePath:instancePath+"/priority",schemaPath:"#/properties/priority/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000},message:"must be <= 1000"}];
return false;
}
else {
if(data5 < -1000 || isNaN(data5)){
validate26.errors = [{instancePath:instancePath+"/priority",schemaPath:"#/properties/priority/minimum",keyword:"minimum",params:{comparison: ">=", limit: -1000},message:"must be >= -1000"}];
return false;
}
}
}
}
var valid0 = _errs16 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.retries !== undefined){
let data6 = data.retries;
const _errs18 = errors;
if(!(((typeof data6 == "number") && (!(data6 % 1) && !isNaN(data6))) && (isFinite(data6)))){
validate26.errors = [{instancePath:instancePath+"/retries",schemaPath:"#/properties/retries/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs18){
if((typeof data6 == "number") && (isFinite(data6))){
if(data6 > 100 || isNaN(data6)){
validate26.errors = [{instancePath:instancePath+"/retries",schemaPath:"#/properties/retries/maximum",keyword:"maximum",params:{comparison: "<=", limit: 100},message:"must be <= 100"}];
return false;
}
else {
if(data6 < 0 || isNaN(data6)){
validate26.errors = [{instancePath:instancePath+"/retries",schemaPath:"#/properties/retries/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs18 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.description !== undefined){
const _errs20 = errors;
if(!(validate27(data.description, {instancePath:instancePath+"/description",parentData:data,parentDataProperty:"description",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate27.errors : vErrors.concat(validate27.errors);
errors = vErrors.length;
}
var valid0 = _errs20 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.state !== undefined){
let data8 = data.state;
const _errs21 = errors;
if(errors === _errs21){
if(typeof data8 === "string"){
if(func1(data8) > 4096){
validate26.errors = [{instancePath:instancePath+"/state",schemaPath:"#/properties/state/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
}
else {
validate26.errors = [{instancePath:instancePath+"/state",schemaPath:"#/properties/state/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs21 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
}
}
else {
validate26.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate26.errors = vErrors;
return errors === 0;
}
validate26.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate25(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate25.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((data.result === undefined) && (missing0 = "result")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.jobs === undefined) && (missing0 = "jobs"))) || ((data.more === undefined) && (missing0 = "more"))){
validate25.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "result") || (key0 === "item")) || (key0 === "jobs")) || (key0 === "more"))){
validate25.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.result !== undefined){
const _errs2 = errors;
if("jobs" !== data.result){
validate25.errors = [{instancePath:instancePath+"/result",schemaPath:"#/properties/result/const",keyword:"const",params:{allowedValue: "jobs"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate25.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate25.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate25.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.jobs !== undefined){
let data2 = data.jobs;
const _errs5 = errors;
if(errors === _errs5){
if(Array.isArray(data2)){
if(data2.length > 64){
validate25.errors = [{instancePath:instancePath+"/jobs",schemaPath:"#/properties/jobs/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid1 = true;
const len0 = data2.length;
for(let i0=0; i0<len0; i0++){
const _errs7 = errors;
if(!(validate26(data2[i0], {instancePath:instancePath+"/jobs/" + i0,parentData:data2,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate26.errors : vErrors.concat(validate26.errors);
errors = vErrors.length;
}
var valid1 = _errs7 === errors;
if(!valid1){
break;
}
}
}
}
else {
validate25.errors = [{instancePath:instancePath+"/jobs",schemaPath:"#/properties/jobs/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.more !== undefined){
const _errs8 = errors;
if(typeof data.more !== "boolean"){
validate25.errors = [{instancePath:instancePath+"/more",schemaPath:"#/properties/more/type",keyword:"type",params:{type: "boolean"},message:"must be boolean"}];
return false;
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate25.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate25.errors = vErrors;
return errors === 0;
}
validate25.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema58 = {"type":"object","properties":{"result":{"const":"called"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"body":{"$ref":"common.schema.json#/$defs/callBody"}},"required":["result","item","body"],"additionalProperties":false};
const schema59 = {"type":"string","maxLength":24576,"description":"Opaque to the broker."};

function validate35(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate35.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.result === undefined) && (missing0 = "result")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.body === undefined) && (missing0 = "body"))){
validate35.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((key0 === "result") || (key0 === "item")) || (key0 === "body"))){
validate35.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.result !== undefined){
const _errs2 = errors;
if("called" !== data.result){
validate35.errors = [{instancePath:instancePath+"/result",schemaPath:"#/properties/result/const",keyword:"const",params:{allowedValue: "called"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate35.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate35.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate35.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.body !== undefined){
let data2 = data.body;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 24576){
validate35.errors = [{instancePath:instancePath+"/body",schemaPath:"common.schema.json#/$defs/callBody/maxLength",keyword:"maxLength",params:{limit: 24576},message:"must NOT have more than 24576 characters"}];
return false;
}
}
else {
validate35.errors = [{instancePath:instancePath+"/body",schemaPath:"common.schema.json#/$defs/callBody/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
else {
validate35.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate35.errors = vErrors;
return errors === 0;
}
validate35.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema60 = {"type":"object","properties":{"result":{"const":"parts"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"parts":{"type":"array","items":{"$ref":"common.schema.json#/$defs/part"},"maxItems":64}},"required":["result","item","parts"],"additionalProperties":false};
const schema61 = {"type":"object","description":"A sub-unit of a job.","properties":{"id":{"$ref":"common.schema.json#/$defs/partId"},"body":{"type":"string","maxLength":1024,"description":"What the payload needs to know of it; opaque to the broker."}},"required":["id","body"],"additionalProperties":false};
const schema62 = {"type":"string","minLength":1,"maxLength":128,"pattern":"^[!-~]+$","description":"The framework's own name of a sub-unit."};
const pattern20 = new RegExp("^[!-~]+$", "u");

function validate38(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate38.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((data.id === undefined) && (missing0 = "id")) || ((data.body === undefined) && (missing0 = "body"))){
validate38.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((key0 === "id") || (key0 === "body"))){
validate38.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.id !== undefined){
let data0 = data.id;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 128){
validate38.errors = [{instancePath:instancePath+"/id",schemaPath:"common.schema.json#/$defs/partId/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate38.errors = [{instancePath:instancePath+"/id",schemaPath:"common.schema.json#/$defs/partId/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern20.test(data0)){
validate38.errors = [{instancePath:instancePath+"/id",schemaPath:"common.schema.json#/$defs/partId/pattern",keyword:"pattern",params:{pattern: "^[!-~]+$"},message:"must match pattern \""+"^[!-~]+$"+"\""}];
return false;
}
}
}
}
else {
validate38.errors = [{instancePath:instancePath+"/id",schemaPath:"common.schema.json#/$defs/partId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.body !== undefined){
let data1 = data.body;
const _errs5 = errors;
if(errors === _errs5){
if(typeof data1 === "string"){
if(func1(data1) > 1024){
validate38.errors = [{instancePath:instancePath+"/body",schemaPath:"#/properties/body/maxLength",keyword:"maxLength",params:{limit: 1024},message:"must NOT have more than 1024 characters"}];
return false;
}
}
else {
validate38.errors = [{instancePath:instancePath+"/body",schemaPath:"#/properties/body/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
else {
validate38.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate38.errors = vErrors;
return errors === 0;
}
validate38.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate37(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate37.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.result === undefined) && (missing0 = "result")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.parts === undefined) && (missing0 = "parts"))){
validate37.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((key0 === "result") || (key0 === "item")) || (key0 === "parts"))){
validate37.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.result !== undefined){
const _errs2 = errors;
if("parts" !== data.result){
validate37.errors = [{instancePath:instancePath+"/result",schemaPath:"#/properties/result/const",keyword:"const",params:{allowedValue: "parts"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate37.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate37.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate37.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.parts !== undefined){
let data2 = data.parts;
const _errs5 = errors;
if(errors === _errs5){
if(Array.isArray(data2)){
if(data2.length > 64){
validate37.errors = [{instancePath:instancePath+"/parts",schemaPath:"#/properties/parts/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid1 = true;
const len0 = data2.length;
for(let i0=0; i0<len0; i0++){
const _errs7 = errors;
if(!(validate38(data2[i0], {instancePath:instancePath+"/parts/" + i0,parentData:data2,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate38.errors : vErrors.concat(validate38.errors);
errors = vErrors.length;
}
var valid1 = _errs7 === errors;
if(!valid1){
break;
}
}
}
}
else {
validate37.errors = [{instancePath:instancePath+"/parts",schemaPath:"#/properties/parts/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
else {
validate37.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate37.errors = vErrors;
return errors === 0;
}
validate37.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema63 = {"type":"object","properties":{"result":{"const":"capabilities"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"capabilities":{"$ref":"common.schema.json#/$defs/capabilities"}},"required":["result","item","capabilities"],"additionalProperties":false};
const schema64 = {"type":"array","items":{"$ref":"common.schema.json#/$defs/capability"},"maxItems":32,"description":"Capabilities of one attempt."};
const schema65 = {"type":"object","description":"The right to move one file, for the attempt's own key.","properties":{"verb":{"enum":["get","put"]},"name":{"$ref":"common.schema.json#/$defs/fileName"},"url":{"$ref":"common.schema.json#/$defs/url"},"token":{"$ref":"common.schema.json#/$defs/token"}},"required":["verb","name","url","token"],"additionalProperties":false};
const schema67 = {"type":"string","minLength":8,"maxLength":512,"pattern":"^https?://[!-~]+$","description":"Where a file is put or fetched."};
const schema68 = {"type":"string","minLength":1,"maxLength":2048,"pattern":"^[A-Za-z0-9._~+/=-]+$","description":"A compact token: base64url parts joined by dots."};
const pattern22 = new RegExp("^https?://[!-~]+$", "u");
const pattern23 = new RegExp("^[A-Za-z0-9._~+/=-]+$", "u");

function validate43(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate43.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((data.verb === undefined) && (missing0 = "verb")) || ((data.name === undefined) && (missing0 = "name"))) || ((data.url === undefined) && (missing0 = "url"))) || ((data.token === undefined) && (missing0 = "token"))){
validate43.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "verb") || (key0 === "name")) || (key0 === "url")) || (key0 === "token"))){
validate43.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.verb !== undefined){
let data0 = data.verb;
const _errs2 = errors;
if(!((data0 === "get") || (data0 === "put"))){
validate43.errors = [{instancePath:instancePath+"/verb",schemaPath:"#/properties/verb/enum",keyword:"enum",params:{allowedValues: schema65.properties.verb.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.name !== undefined){
let data1 = data.name;
const _errs3 = errors;
const _errs4 = errors;
if(errors === _errs4){
if(typeof data1 === "string"){
if(func1(data1) > 128){
validate43.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data1) < 1){
validate43.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern17.test(data1)){
validate43.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"},message:"must match pattern \""+"^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"+"\""}];
return false;
}
}
}
}
else {
validate43.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.url !== undefined){
let data2 = data.url;
const _errs6 = errors;
const _errs7 = errors;
if(errors === _errs7){
if(typeof data2 === "string"){
if(func1(data2) > 512){
validate43.errors = [{instancePath:instancePath+"/url",schemaPath:"common.schema.json#/$defs/url/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
else {
if(func1(data2) < 8){
validate43.errors = [{instancePath:instancePath+"/url",schemaPath:"common.schema.json#/$defs/url/minLength",keyword:"minLength",params:{limit: 8},message:"must NOT have fewer than 8 characters"}];
return false;
}
else {
if(!pattern22.test(data2)){
validate43.errors = [{instancePath:instancePath+"/url",schemaPath:"common.schema.json#/$defs/url/pattern",keyword:"pattern",params:{pattern: "^https?://[!-~]+$"},message:"must match pattern \""+"^https?://[!-~]+$"+"\""}];
return false;
}
}
}
}
else {
validate43.errors = [{instancePath:instancePath+"/url",schemaPath:"common.schema.json#/$defs/url/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.token !== undefined){
let data3 = data.token;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 2048){
validate43.errors = [{instancePath:instancePath+"/token",schemaPath:"common.schema.json#/$defs/token/maxLength",keyword:"maxLength",params:{limit: 2048},message:"must NOT have more than 2048 characters"}];
return false;
}
else {
if(func1(data3) < 1){
validate43.errors = [{instancePath:instancePath+"/token",schemaPath:"common.schema.json#/$defs/token/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern23.test(data3)){
validate43.errors = [{instancePath:instancePath+"/token",schemaPath:"common.schema.json#/$defs/token/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9._~+/=-]+$"},message:"must match pattern \""+"^[A-Za-z0-9._~+/=-]+$"+"\""}];
return false;
}
}
}
}
else {
validate43.errors = [{instancePath:instancePath+"/token",schemaPath:"common.schema.json#/$defs/token/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate43.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate43.errors = vErrors;
return errors === 0;
}
validate43.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate42(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate42.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 32){
validate42.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 32},message:"must NOT have more than 32 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate43(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate43.errors : vErrors.concat(validate43.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate42.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate42.errors = vErrors;
return errors === 0;
}
validate42.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate41(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate41.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.result === undefined) && (missing0 = "result")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.capabilities === undefined) && (missing0 = "capabilities"))){
validate41.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((key0 === "result") || (key0 === "item")) || (key0 === "capabilities"))){
validate41.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.result !== undefined){
const _errs2 = errors;
if("capabilities" !== data.result){
validate41.errors = [{instancePath:instancePath+"/result",schemaPath:"#/properties/result/const",keyword:"const",params:{allowedValue: "capabilities"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate41.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate41.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate41.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.capabilities !== undefined){
const _errs5 = errors;
if(!(validate42(data.capabilities, {instancePath:instancePath+"/capabilities",parentData:data,parentDataProperty:"capabilities",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate42.errors : vErrors.concat(validate42.errors);
errors = vErrors.length;
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
else {
validate41.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate41.errors = vErrors;
return errors === 0;
}
validate41.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema69 = {"type":"object","properties":{"result":{"const":"verified"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"files":{"$ref":"common.schema.json#/$defs/storedManifest"}},"required":["result","item","files"],"additionalProperties":false};
const schema70 = {"type":"array","items":{"$ref":"common.schema.json#/$defs/storedFile"},"maxItems":64,"description":"Output files as storage found them."};
const schema71 = {"type":"object","description":"One output file as storage found it; Adler-32 and MD5 where it computes them.","properties":{"name":{"$ref":"common.schema.json#/$defs/fileName"},"size":{"$ref":"common.schema.json#/$defs/size"},"sha256":{"$ref":"common.schema.json#/$defs/sha256"},"adler32":{"$ref":"common.schema.json#/$defs/adler32"},"md5":{"$ref":"common.schema.json#/$defs/md5"}},"required":["name","size","sha256"],"additionalProperties":false};
const schema75 = {"type":"string","maxLength":8,"pattern":"^[0-9a-f]{8}$","description":"Adler-32 (RFC 1950), eight lower-case hex digits."};
const schema76 = {"type":"string","maxLength":32,"pattern":"^[0-9a-f]{32}$","description":"MD5 (RFC 1321) in lower-case hex."};
const pattern26 = new RegExp("^[0-9a-f]{8}$", "u");
const pattern27 = new RegExp("^[0-9a-f]{32}$", "u");

function validate49(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate49.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.name === undefined) && (missing0 = "name")) || ((data.size === undefined) && (missing0 = "size"))) || ((data.sha256 === undefined) && (missing0 = "sha256"))){
validate49.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "name") || (key0 === "size")) || (key0 === "sha256")) || (key0 === "adler32")) || (key0 === "md5"))){
validate49.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.name !== undefined){
let data0 = data.name;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 128){
validate49.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate49.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern17.test(data0)){
validate49.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"},message:"must match pattern \""+"^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"+"\""}];
return false;
}
}
}
}
else {
validate49.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.size !== undefined){
let data1 = data.size;
const _errs5 = errors;
const _errs6 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate49.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs6){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 1099511627776 || isNaN(data1)){
validate49.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1099511627776},message:"must be <= 1099511627776"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate49.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.sha256 !== undefined){
let data2 = data.sha256;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate49.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(!pattern18.test(data2)){
validate49.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{64}$"},message:"must match pattern \""+"^[0-9a-f]{64}$"+"\""}];
return false;
}
}
}
else {
validate49.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.adler32 !== undefined){
let data3 = data.adler32;
const _errs11 = errors;
const _errs12 = errors;
if(errors === _errs12){
if(typeof data3 === "string"){
if(func1(data3) > 8){
validate49.errors = [{instancePath:instancePath+"/adler32",schemaPath:"common.schema.json#/$defs/adler32/maxLength",keyword:"maxLength",params:{limit: 8},message:"must NOT have more than 8 characters"}];
return false;
}
else {
if(!pattern26.test(data3)){
validate49.errors = [{instancePath:instancePath+"/adler32",schemaPath:"common.schema.json#/$defs/adler32/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{8}$"},message:"must match pattern \""+"^[0-9a-f]{8}$"+"\""}];
return false;
}
}
}
else {
validate49.errors = [{instancePath:instancePath+"/adler32",schemaPath:"common.schema.json#/$defs/adler32/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.md5 !== undefined){
let data4 = data.md5;
const _errs14 = errors;
const _errs15 = errors;
if(errors === _errs15){
if(typeof data4 === "string"){
if(func1(data4) > 32){
validate49.errors = [{instancePath:instancePath+"/md5",schemaPath:"common.schema.json#/$defs/md5/maxLength",keyword:"maxLength",params:{limit: 32},message:"must NOT have more than 32 characters"}];
return false;
}
else {
if(!pattern27.test(data4)){
validate49.errors = [{instancePath:instancePath+"/md5",schemaPath:"common.schema.json#/$defs/md5/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{32}$"},message:"must match pattern \""+"^[0-9a-f]{32}$"+"\""}];
return false;
}
}
}
else {
validate49.errors = [{instancePath:instancePath+"/md5",schemaPath:"common.schema.json#/$defs/md5/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs14 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate49.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate49.errors = vErrors;
return errors === 0;
}
validate49.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate48(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate48.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate48.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate49(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate49.errors : vErrors.concat(validate49.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate48.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate48.errors = vErrors;
return errors === 0;
}
validate48.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate47(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate47.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.result === undefined) && (missing0 = "result")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.files === undefined) && (missing0 = "files"))){
validate47.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((key0 === "result") || (key0 === "item")) || (key0 === "files"))){
validate47.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.result !== undefined){
const _errs2 = errors;
if("verified" !== data.result){
validate47.errors = [{instancePath:instancePath+"/result",schemaPath:"#/properties/result/const",keyword:"const",params:{allowedValue: "verified"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate47.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate47.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate47.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.files !== undefined){
const _errs5 = errors;
if(!(validate48(data.files, {instancePath:instancePath+"/files",parentData:data,parentDataProperty:"files",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate48.errors : vErrors.concat(validate48.errors);
errors = vErrors.length;
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
else {
validate47.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate47.errors = vErrors;
return errors === 0;
}
validate47.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema77 = {"type":"object","properties":{"result":{"const":"mismatch"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"reason":{"$ref":"common.schema.json#/$defs/text"}},"required":["result","item","reason"],"additionalProperties":false};

function validate53(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate53.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.result === undefined) && (missing0 = "result")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.reason === undefined) && (missing0 = "reason"))){
validate53.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((key0 === "result") || (key0 === "item")) || (key0 === "reason"))){
validate53.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.result !== undefined){
const _errs2 = errors;
if("mismatch" !== data.result){
validate53.errors = [{instancePath:instancePath+"/result",schemaPath:"#/properties/result/const",keyword:"const",params:{allowedValue: "mismatch"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate53.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate53.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate53.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.reason !== undefined){
let data2 = data.reason;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 512){
validate53.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
}
else {
validate53.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
else {
validate53.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate53.errors = vErrors;
return errors === 0;
}
validate53.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate22(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="answers.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate22.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((data.kind === undefined) && (missing0 = "kind")) || ((data.items === undefined) && (missing0 = "items"))){
validate22.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((key0 === "kind") || (key0 === "items"))){
validate22.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("answers" !== data.kind){
validate22.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "answers"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.items !== undefined){
let data1 = data.items;
const _errs3 = errors;
if(errors === _errs3){
if(Array.isArray(data1)){
if(data1.length > 256){
validate22.errors = [{instancePath:instancePath+"/items",schemaPath:"#/properties/items/maxItems",keyword:"maxItems",params:{limit: 256},message:"must NOT have more than 256 items"}];
return false;
}
else {
if(data1.length < 1){
validate22.errors = [{instancePath:instancePath+"/items",schemaPath:"#/properties/items/minItems",keyword:"minItems",params:{limit: 1},message:"must NOT have fewer than 1 items"}];
return false;
}
else {
var valid1 = true;
const len0 = data1.length;
for(let i0=0; i0<len0; i0++){
let data2 = data1[i0];
const _errs5 = errors;
const _errs6 = errors;
let valid2 = false;
let passing0 = null;
const _errs7 = errors;
const _errs8 = errors;
if(errors === _errs8){
if(data2 && typeof data2 == "object" && !Array.isArray(data2)){
let missing1;
if(((data2.result === undefined) && (missing1 = "result")) || ((data2.item === undefined) && (missing1 = "item"))){
const err0 = {instancePath:instancePath+"/items/" + i0,schemaPath:"common.schema.json#/$defs/resultOk/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
else {
const _errs10 = errors;
for(const key1 in data2){
if(!(((key1 === "result") || (key1 === "item")) || (key1 === "events"))){
const err1 = {instancePath:instancePath+"/items/" + i0,schemaPath:"common.schema.json#/$defs/resultOk/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
break;
}
}
if(_errs10 === errors){
if(data2.result !== undefined){
const _errs11 = errors;
if("ok" !== data2.result){
const err2 = {instancePath:instancePath+"/items/" + i0+"/result",schemaPath:"common.schema.json#/$defs/resultOk/properties/result/const",keyword:"const",params:{allowedValue: "ok"},message:"must be equal to constant"};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
var valid4 = _errs11 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data2.item !== undefined){
let data4 = data2.item;
const _errs12 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
const err3 = {instancePath:instancePath+"/items/" + i0+"/item",schemaPath:"common.schema.json#/$defs/resultOk/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
}
if(errors === _errs12){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 9007199254740991 || isNaN(data4)){
const err4 = {instancePath:instancePath+"/items/" + i0+"/item",schemaPath:"common.schema.json#/$defs/resultOk/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
}
else {
if(data4 < 1 || isNaN(data4)){
const err5 = {instancePath:instancePath+"/items/" + i0+"/item",schemaPath:"common.schema.json#/$defs/resultOk/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"};
if(vErrors === null){
vErrors = [err5];
}
else {
vErrors.push(err5);
}
errors++;
}
}
}
}
var valid4 = _errs12 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data2.events !== undefined){
let data5 = data2.events;
const _errs14 = errors;
if(!(((typeof data5 == "number") && (!(data5 % 1) && !isNaN(data5))) && (isFinite(data5)))){
const err6 = {instancePath:instancePath+"/items/" + i0+"/events",schemaPath:"common.schema.json#/$defs/resultOk/properties/events/type",keyword:"type",params:{type: "integer"},message:"must be integer"};
if(vErrors === null){
vErrors = [err6];
}
else {
vErrors.push(err6);
}
errors++;
}
if(errors === _errs14){
if((typeof data5 == "number") && (isFinite(data5))){
if(data5 > 1000000000 || isNaN(data5)){
const err7 = {instancePath:instancePath+"/items/" + i0+"/events",schemaPath:"common.schema.json#/$defs/resultOk/properties/events/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000000},message:"must be <= 1000000000"};
if(vErrors === null){
vErrors = [err7];
}
else {
vErrors.push(err7);
}
errors++;
}
else {
if(data5 < 0 || isNaN(data5)){
const err8 = {instancePath:instancePath+"/items/" + i0+"/events",schemaPath:"common.schema.json#/$defs/resultOk/properties/events/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"};
if(vErrors === null){
vErrors = [err8];
}
else {
vErrors.push(err8);
}
errors++;
}
}
}
}
var valid4 = _errs14 === errors;
}
else {
var valid4 = true;
}
}
}
}
}
}
else {
const err9 = {instancePath:instancePath+"/items/" + i0,schemaPath:"common.schema.json#/$defs/resultOk/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err9];
}
else {
vErrors.push(err9);
}
errors++;
}
}
var _valid0 = _errs7 === errors;
if(_valid0){
valid2 = true;
passing0 = 0;
var props0 = true;
}
const _errs16 = errors;
if(!(validate23(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate23.errors : vErrors.concat(validate23.errors);
errors = vErrors.length;
}
var _valid0 = _errs16 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 1];
}
else {
if(_valid0){
valid2 = true;
passing0 = 1;
if(props0 !== true){
props0 = true;
}
}
const _errs17 = errors;
if(!(validate25(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate25.errors : vErrors.concat(validate25.errors);
errors = vErrors.length;
}
var _valid0 = _errs17 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 2];
}
else {
if(_valid0){
valid2 = true;
passing0 = 2;
if(props0 !== true){
props0 = true;
}
}
const _errs18 = errors;
if(!(validate35(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate35.errors : vErrors.concat(validate35.errors);
errors = vErrors.length;
}
var _valid0 = _errs18 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 3];
}
else {
if(_valid0){
valid2 = true;
passing0 = 3;
if(props0 !== true){
props0 = true;
}
}
const _errs19 = errors;
if(!(validate37(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate37.errors : vErrors.concat(validate37.errors);
errors = vErrors.length;
}
var _valid0 = _errs19 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 4];
}
else {
if(_valid0){
valid2 = true;
passing0 = 4;
if(props0 !== true){
props0 = true;
}
}
const _errs20 = errors;
if(!(validate41(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate41.errors : vErrors.concat(validate41.errors);
errors = vErrors.length;
}
var _valid0 = _errs20 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 5];
}
else {
if(_valid0){
valid2 = true;
passing0 = 5;
if(props0 !== true){
props0 = true;
}
}
const _errs21 = errors;
if(!(validate47(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate47.errors : vErrors.concat(validate47.errors);
errors = vErrors.length;
}
var _valid0 = _errs21 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 6];
}
else {
if(_valid0){
valid2 = true;
passing0 = 6;
if(props0 !== true){
props0 = true;
}
}
const _errs22 = errors;
if(!(validate53(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate53.errors : vErrors.concat(validate53.errors);
errors = vErrors.length;
}
var _valid0 = _errs22 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 7];
}
else {
if(_valid0){
valid2 = true;
passing0 = 7;
if(props0 !== true){
props0 = true;
}
}
}
}
}
}
}
}
}
if(!valid2){
const err10 = {instancePath:instancePath+"/items/" + i0,schemaPath:"#/properties/items/items/oneOf",keyword:"oneOf",params:{passingSchemas: passing0},message:"must match exactly one schema in oneOf"};
if(vErrors === null){
vErrors = [err10];
}
else {
vErrors.push(err10);
}
errors++;
validate22.errors = vErrors;
return false;
}
else {
errors = _errs6;
if(vErrors !== null){
if(_errs6){
vErrors.length = _errs6;
}
else {
vErrors = null;
}
}
}
var valid1 = _errs5 === errors;
if(!valid1){
break;
}
}
}
}
}
else {
validate22.errors = [{instancePath:instancePath+"/items",schemaPath:"#/properties/items/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
else {
validate22.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate22.errors = vErrors;
return errors === 0;
}
validate22.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isAsk = validate55;
const schema79 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"ask.schema.json","title":"Ask","description":"Trusted side: a batch of items, either way.","type":"object","properties":{"kind":{"const":"ask"},"items":{"type":"array","items":{"oneOf":[{"$ref":"common.schema.json#/$defs/opFetch"},{"$ref":"common.schema.json#/$defs/opStarted"},{"$ref":"common.schema.json#/$defs/opRenewed"},{"$ref":"common.schema.json#/$defs/opReleased"},{"$ref":"common.schema.json#/$defs/opFinished"},{"$ref":"common.schema.json#/$defs/opFailed"},{"$ref":"common.schema.json#/$defs/opCall"},{"$ref":"common.schema.json#/$defs/opParts"},{"$ref":"common.schema.json#/$defs/opGrant"},{"$ref":"common.schema.json#/$defs/opVerify"},{"$ref":"common.schema.json#/$defs/opFinalise"},{"$ref":"common.schema.json#/$defs/opDiscard"},{"$ref":"common.schema.json#/$defs/opAvailable"},{"$ref":"common.schema.json#/$defs/opKill"}]},"minItems":1,"maxItems":256}},"required":["kind","items"],"additionalProperties":false};
const schema122 = {"type":"object","description":"Storage adapter: mint capabilities.","properties":{"op":{"const":"grant"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"grant":{"type":"string","minLength":1,"maxLength":16384,"pattern":"^[A-Za-z0-9_.-]+$","description":"Compact JWS signed by the broker."}},"required":["op","item","grant"],"additionalProperties":false};
const schema80 = {"type":"object","description":"Job adapter: hand over jobs.","properties":{"op":{"const":"fetch"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"queue":{"$ref":"common.schema.json#/$defs/name"},"max":{"type":"integer","minimum":1,"maximum":1024},"accepted":{"type":"array","items":{"$ref":"common.schema.json#/$defs/jobId"},"maxItems":512,"description":"Jobs of earlier answers that are in the ledger now."}},"required":["op","item","queue","max","accepted"],"additionalProperties":false};

function validate56(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate56.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.queue === undefined) && (missing0 = "queue"))) || ((data.max === undefined) && (missing0 = "max"))) || ((data.accepted === undefined) && (missing0 = "accepted"))){
validate56.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "op") || (key0 === "item")) || (key0 === "queue")) || (key0 === "max")) || (key0 === "accepted"))){
validate56.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("fetch" !== data.op){
validate56.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "fetch"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate56.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate56.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate56.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.queue !== undefined){
let data2 = data.queue;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate56.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data2) < 1){
validate56.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data2)){
validate56.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate56.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.max !== undefined){
let data3 = data.max;
const _errs8 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate56.errors = [{instancePath:instancePath+"/max",schemaPath:"#/properties/max/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs8){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1024 || isNaN(data3)){
validate56.errors = [{instancePath:instancePath+"/max",schemaPath:"#/properties/max/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1024},message:"must be <= 1024"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate56.errors = [{instancePath:instancePath+"/max",schemaPath:"#/properties/max/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.accepted !== undefined){
let data4 = data.accepted;
const _errs10 = errors;
if(errors === _errs10){
if(Array.isArray(data4)){
if(data4.length > 512){
validate56.errors = [{instancePath:instancePath+"/accepted",schemaPath:"#/properties/accepted/maxItems",keyword:"maxItems",params:{limit: 512},message:"must NOT have more than 512 items"}];
return false;
}
else {
var valid2 = true;
const len0 = data4.length;
for(let i0=0; i0<len0; i0++){
let data5 = data4[i0];
const _errs12 = errors;
const _errs13 = errors;
if(errors === _errs13){
if(typeof data5 === "string"){
if(func1(data5) > 26){
validate56.errors = [{instancePath:instancePath+"/accepted/" + i0,schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data5)){
validate56.errors = [{instancePath:instancePath+"/accepted/" + i0,schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate56.errors = [{instancePath:instancePath+"/accepted/" + i0,schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid2 = _errs12 === errors;
if(!valid2){
break;
}
}
}
}
else {
validate56.errors = [{instancePath:instancePath+"/accepted",schemaPath:"#/properties/accepted/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs10 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate56.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate56.errors = vErrors;
return errors === 0;
}
validate56.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema83 = {"type":"object","description":"Job adapter: an attempt began.","properties":{"op":{"const":"started"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"agent":{"$ref":"common.schema.json#/$defs/agentId"},"state":{"$ref":"common.schema.json#/$defs/adapterState"}},"required":["op","item","job","attempt","agent"],"additionalProperties":false};
const schema85 = {"type":"integer","minimum":1,"maximum":1000000,"description":"One try of a job; also the fencing token."};
const schema86 = {"type":"string","maxLength":26,"pattern":"^[a-z2-7]{26}$","description":"An agent: 128 bits in lower-case base32."};
const schema87 = {"type":"string","maxLength":4096,"description":"What the adapter handed over with the job as its `state`; left out where that was nothing."};

function validate58(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate58.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.agent === undefined) && (missing0 = "agent"))){
validate58.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "agent")) || (key0 === "state"))){
validate58.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("started" !== data.op){
validate58.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "started"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate58.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate58.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate58.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate58.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate58.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate58.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data3 = data.attempt;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate58.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000000 || isNaN(data3)){
validate58.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate58.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.agent !== undefined){
let data4 = data.agent;
const _errs11 = errors;
const _errs12 = errors;
if(errors === _errs12){
if(typeof data4 === "string"){
if(func1(data4) > 26){
validate58.errors = [{instancePath:instancePath+"/agent",schemaPath:"common.schema.json#/$defs/agentId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data4)){
validate58.errors = [{instancePath:instancePath+"/agent",schemaPath:"common.schema.json#/$defs/agentId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate58.errors = [{instancePath:instancePath+"/agent",schemaPath:"common.schema.json#/$defs/agentId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.state !== undefined){
let data5 = data.state;
const _errs14 = errors;
const _errs15 = errors;
if(errors === _errs15){
if(typeof data5 === "string"){
if(func1(data5) > 4096){
validate58.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
}
else {
validate58.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs14 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
else {
validate58.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate58.errors = vErrors;
return errors === 0;
}
validate58.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema88 = {"type":"object","description":"Job adapter: an attempt is alive.","properties":{"op":{"const":"renewed"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"progress":{"type":"number","minimum":0,"maximum":1},"state":{"$ref":"common.schema.json#/$defs/adapterState"}},"required":["op","item","job","attempt","progress"],"additionalProperties":false};

function validate60(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate60.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.progress === undefined) && (missing0 = "progress"))){
validate60.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "progress")) || (key0 === "state"))){
validate60.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("renewed" !== data.op){
validate60.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "renewed"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate60.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate60.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate60.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate60.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate60.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate60.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data3 = data.attempt;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate60.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000000 || isNaN(data3)){
validate60.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate60.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.progress !== undefined){
let data4 = data.progress;
const _errs11 = errors;
if(errors === _errs11){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1 || isNaN(data4)){
validate60.errors = [{instancePath:instancePath+"/progress",schemaPath:"#/properties/progress/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1},message:"must be <= 1"}];
return false;
}
else {
if(data4 < 0 || isNaN(data4)){
validate60.errors = [{instancePath:instancePath+"/progress",schemaPath:"#/properties/progress/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate60.errors = [{instancePath:instancePath+"/progress",schemaPath:"#/properties/progress/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.state !== undefined){
let data5 = data.state;
const _errs13 = errors;
const _errs14 = errors;
if(errors === _errs14){
if(typeof data5 === "string"){
if(func1(data5) > 4096){
validate60.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
}
else {
validate60.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs13 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
else {
validate60.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate60.errors = vErrors;
return errors === 0;
}
validate60.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema92 = {"type":"object","description":"Job adapter: an attempt ended without a result; the job waits again.","properties":{"op":{"const":"released"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"reason":{"$ref":"common.schema.json#/$defs/text"},"state":{"$ref":"common.schema.json#/$defs/adapterState"}},"required":["op","item","job","attempt","reason"],"additionalProperties":false};

function validate62(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate62.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.reason === undefined) && (missing0 = "reason"))){
validate62.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "reason")) || (key0 === "state"))){
validate62.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("released" !== data.op){
validate62.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "released"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate62.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate62.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate62.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate62.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate62.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate62.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data3 = data.attempt;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate62.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000000 || isNaN(data3)){
validate62.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate62.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.reason !== undefined){
let data4 = data.reason;
const _errs11 = errors;
const _errs12 = errors;
if(errors === _errs12){
if(typeof data4 === "string"){
if(func1(data4) > 512){
validate62.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
}
else {
validate62.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.state !== undefined){
let data5 = data.state;
const _errs14 = errors;
const _errs15 = errors;
if(errors === _errs15){
if(typeof data5 === "string"){
if(func1(data5) > 4096){
validate62.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
}
else {
validate62.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs14 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
else {
validate62.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate62.errors = vErrors;
return errors === 0;
}
validate62.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema97 = {"type":"object","description":"Job adapter: the job has its result.","properties":{"op":{"const":"finished"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"manifest":{"$ref":"common.schema.json#/$defs/storedManifest"},"usage":{"$ref":"common.schema.json#/$defs/usage"},"state":{"$ref":"common.schema.json#/$defs/adapterState"}},"required":["op","item","job","attempt","manifest","usage"],"additionalProperties":false};
const schema100 = {"type":"object","description":"What the attempt used so far.","properties":{"wallSeconds":{"type":"number","minimum":0,"maximum":31536000},"cpuSeconds":{"type":"number","minimum":0,"maximum":3153600000},"memoryMiB":{"type":"number","minimum":0,"maximum":67108864},"diskMiB":{"type":"number","minimum":0,"maximum":1073741824}},"required":["wallSeconds","cpuSeconds","memoryMiB","diskMiB"],"additionalProperties":false};

function validate64(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate64.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.manifest === undefined) && (missing0 = "manifest"))) || ((data.usage === undefined) && (missing0 = "usage"))){
validate64.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "manifest")) || (key0 === "usage")) || (key0 === "state"))){
validate64.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("finished" !== data.op){
validate64.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "finished"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate64.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate64.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate64.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate64.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate64.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate64.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data3 = data.attempt;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate64.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000000 || isNaN(data3)){
validate64.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate64.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.manifest !== undefined){
const _errs11 = errors;
if(!(validate48(data.manifest, {instancePath:instancePath+"/manifest",parentData:data,parentDataProperty:"manifest",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate48.errors : vErrors.concat(validate48.errors);
errors = vErrors.length;
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.usage !== undefined){
let data5 = data.usage;
const _errs12 = errors;
const _errs13 = errors;
if(errors === _errs13){
if(data5 && typeof data5 == "object" && !Array.isArray(data5)){
let missing1;
if(((((data5.wallSeconds === undefined) && (missing1 = "wallSeconds")) || ((data5.cpuSeconds === undefined) && (missing1 = "cpuSeconds"))) || ((data5.memoryMiB === undefined) && (missing1 = "memoryMiB"))) || ((data5.diskMiB === undefined) && (missing1 = "diskMiB"))){
validate64.errors = [{instancePath:instancePath+"/usage",schemaPath:"common.schema.json#/$defs/usage/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"}];
return false;
}
else {
const _errs15 = errors;
for(const key1 in data5){
if(!((((key1 === "wallSeconds") || (key1 === "cpuSeconds")) || (key1 === "memoryMiB")) || (key1 === "diskMiB"))){
validate64.errors = [{instancePath:instancePath+"/usage",schemaPath:"common.schema.json#/$defs/usage/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs15 === errors){
if(data5.wallSeconds !== undefined){
let data6 = data5.wallSeconds;
const _errs16 = errors;
if(errors === _errs16){
if((typeof data6 == "number") && (isFinite(data6))){
if(data6 > 31536000 || isNaN(data6)){
validate64.errors = [{instancePath:instancePath+"/usage/wallSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/wallSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 31536000},message:"must be <= 31536000"}];
return false;
}
else {
if(data6 < 0 || isNaN(data6)){
validate64.errors = [{instancePath:instancePath+"/usage/wallSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/wallSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate64.errors = [{instancePath:instancePath+"/usage/wallSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/wallSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid4 = _errs16 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data5.cpuSeconds !== undefined){
let data7 = data5.cpuSeconds;
const _errs18 = errors;
if(errors === _errs18){
if((typeof data7 == "number") && (isFinite(data7))){
if(data7 > 3153600000 || isNaN(data7)){
validate64.errors = [{instancePath:instancePath+"/usage/cpuSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/cpuSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 3153600000},message:"must be <= 3153600000"}];
return false;
}
else {
if(data7 < 0 || isNaN(data7)){
validate64.errors = [{instancePath:instancePath+"/usage/cpuSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/cpuSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate64.errors = [{instancePath:instancePath+"/usage/cpuSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/cpuSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid4 = _errs18 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data5.memoryMiB !== undefined){
let data8 = data5.memoryMiB;
const _errs20 = errors;
if(errors === _errs20){
if((typeof data8 == "number") && (isFinite(data8))){
if(data8 > 67108864 || isNaN(data8)){
validate64.errors = [{instancePath:instancePath+"/usage/memoryMiB",schemaPath:"common.schema.json#/$defs/usage/properties/memoryMiB/maximum",keyword:"maximum",params:{comparison: "<=", limit: 67108864},message:"must be <= 67108864"}];
return false;
}
else {
if(data8 < 0 || isNaN(data8)){
validate64.errors = [{instancePath:instancePath+"/usage/memoryMiB",schemaPath:"common.schema.json#/$defs/usage/properties/memoryMiB/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate64.errors = [{instancePath:instancePath+"/usage/memoryMiB",schemaPath:"common.schema.json#/$defs/usage/properties/memoryMiB/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid4 = _errs20 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data5.diskMiB !== undefined){
let data9 = data5.diskMiB;
const _errs22 = errors;
if(errors === _errs22){
if((typeof data9 == "number") && (isFinite(data9))){
if(data9 > 1073741824 || isNaN(data9)){
validate64.errors = [{instancePath:instancePath+"/usage/diskMiB",schemaPath:"common.schema.json#/$defs/usage/properties/diskMiB/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1073741824},message:"must be <= 1073741824"}];
return false;
}
else {
if(data9 < 0 || isNaN(data9)){
validate64.errors = [{instancePath:instancePath+"/usage/diskMiB",schemaPath:"common.schema.json#/$defs/usage/properties/diskMiB/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate64.errors = [{instancePath:instancePath+"/usage/diskMiB",schemaPath:"common.schema.json#/$defs/usage/properties/diskMiB/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid4 = _errs22 === errors;
}
else {
var valid4 = true;
}
}
}
}
}
}
}
else {
validate64.errors = [{instancePath:instancePath+"/usage",schemaPath:"common.schema.json#/$defs/usage/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.state !== undefined){
let data10 = data.state;
const _errs24 = errors;
const _errs25 = errors;
if(errors === _errs25){
if(typeof data10 === "string"){
if(func1(data10) > 4096){
validate64.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
}
else {
validate64.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs24 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
else {
validate64.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate64.errors = vErrors;
return errors === 0;
}
validate64.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema102 = {"type":"object","description":"Job adapter: the job will have no result.","properties":{"op":{"const":"failed"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"outcome":{"enum":["failed","cancelled"]},"reason":{"$ref":"common.schema.json#/$defs/text"},"attempts":{"type":"array","items":{"type":"object","properties":{"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"reason":{"$ref":"common.schema.json#/$defs/text"},"logTail":{"$ref":"common.schema.json#/$defs/logTail"},"exit":{"$ref":"common.schema.json#/$defs/exit"}},"required":["attempt","reason","logTail"],"additionalProperties":false},"maxItems":8,"description":"The last attempts."},"state":{"$ref":"common.schema.json#/$defs/adapterState"}},"required":["op","item","job","outcome","reason","attempts"],"additionalProperties":false};
const schema107 = {"type":"string","maxLength":2048,"description":"The last lines of the job's output."};
const schema108 = {"description":"What became of the process.","oneOf":[{"type":"object","properties":{"kind":{"const":"exited"},"code":{"type":"integer","minimum":0,"maximum":255}},"required":["kind","code"],"additionalProperties":false},{"type":"object","properties":{"kind":{"const":"signalled"},"signal":{"type":"string","maxLength":16,"pattern":"^SIG[A-Z0-9+-]+$"}},"required":["kind","signal"],"additionalProperties":false},{"type":"object","properties":{"kind":{"const":"limit"},"limit":{"enum":["wall","cpu","memory","disk","files","output"]}},"required":["kind","limit"],"additionalProperties":false},{"type":"object","properties":{"kind":{"const":"failed"},"reason":{"type":"string","maxLength":256,"description":"Why the job could not be run or its files not be moved."}},"required":["kind","reason"],"additionalProperties":false}]};
const pattern36 = new RegExp("^SIG[A-Z0-9+-]+$", "u");

function validate67(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate67.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.outcome === undefined) && (missing0 = "outcome"))) || ((data.reason === undefined) && (missing0 = "reason"))) || ((data.attempts === undefined) && (missing0 = "attempts"))){
validate67.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "outcome")) || (key0 === "reason")) || (key0 === "attempts")) || (key0 === "state"))){
validate67.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("failed" !== data.op){
validate67.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "failed"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate67.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate67.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate67.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate67.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate67.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate67.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.outcome !== undefined){
let data3 = data.outcome;
const _errs8 = errors;
if(!((data3 === "failed") || (data3 === "cancelled"))){
validate67.errors = [{instancePath:instancePath+"/outcome",schemaPath:"#/properties/outcome/enum",keyword:"enum",params:{allowedValues: schema102.properties.outcome.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.reason !== undefined){
let data4 = data.reason;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data4 === "string"){
if(func1(data4) > 512){
validate67.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
}
else {
validate67.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempts !== undefined){
let data5 = data.attempts;
const _errs12 = errors;
if(errors === _errs12){
if(Array.isArray(data5)){
if(data5.length > 8){
validate67.errors = [{instancePath:instancePath+"/attempts",schemaPath:"#/properties/attempts/maxItems",keyword:"maxItems",params:{limit: 8},message:"must NOT have more than 8 items"}];
return false;
}
else {
var valid3 = true;
const len0 = data5.length;
for(let i0=0; i0<len0; i0++){
let data6 = data5[i0];
const _errs14 = errors;
if(errors === _errs14){
if(data6 && typeof data6 == "object" && !Array.isArray(data6)){
let missing1;
if((((data6.attempt === undefined) && (missing1 = "attempt")) || ((data6.reason === undefined) && (missing1 = "reason"))) || ((data6.logTail === undefined) && (missing1 = "logTail"))){
validate67.errors = [{instancePath:instancePath+"/attempts/" + i0,schemaPath:"#/properties/attempts/items/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"}];
return false;
}
else {
const _errs16 = errors;
for(const key1 in data6){
if(!((((key1 === "attempt") || (key1 === "reason")) || (key1 === "logTail")) || (key1 === "exit"))){
validate67.errors = [{instancePath:instancePath+"/attempts/" + i0,schemaPath:"#/properties/attempts/items/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs16 === errors){
if(data6.attempt !== undefined){
let data7 = data6.attempt;
const _errs17 = errors;
const _errs18 = errors;
if(!(((typeof data7 == "number") && (!(data7 % 1) && !isNaN(data7))) && (isFinite(data7)))){
validate67.errors = [{instancePath:instancePath+"/attempts/" + i0+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs18){
if((typeof data7 == "number") && (isFinite(data7))){
if(data7 > 1000000 || isNaN(data7)){
validate67.errors = [{instancePath:instancePath+"/attempts/" + i0+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data7 < 1 || isNaN(data7)){
validate67.errors = [{instancePath:instancePath+"/attempts/" + i0+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid4 = _errs17 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data6.reason !== undefined){
let data8 = data6.reason;
const _errs20 = errors;
const _errs21 = errors;
if(errors === _errs21){
if(typeof data8 === "string"){
if(func1(data8) > 512){
validate67.errors = [{instancePath:instancePath+"/attempts/" + i0+"/reason",schemaPath:"common.schema.json#/$defs/text/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
}
else {
validate67.errors = [{instancePath:instancePath+"/attempts/" + i0+"/reason",schemaPath:"common.schema.json#/$defs/text/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid4 = _errs20 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data6.logTail !== undefined){
let data9 = data6.logTail;
const _errs23 = errors;
const _errs24 = errors;
if(errors === _errs24){
if(typeof data9 === "string"){
if(func1(data9) > 2048){
validate67.errors = [{instancePath:instancePath+"/attempts/" + i0+"/logTail",schemaPath:"common.schema.json#/$defs/logTail/maxLength",keyword:"maxLength",params:{limit: 2048},message:"must NOT have more than 2048 characters"}];
return false;
}
}
else {
validate67.errors = [{instancePath:instancePath+"/attempts/" + i0+"/logTail",schemaPath:"common.schema.json#/$defs/logTail/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid4 = _errs23 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data6.exit !== undefined){
let data10 = data6.exit;
const _errs26 = errors;
const _errs28 = errors;
let valid9 = false;
let passing0 = null;
const _errs29 = errors;
if(errors === _errs29){
if(data10 && typeof data10 == "object" && !Array.isArray(data10)){
let missing2;
if(((data10.kind === undefined) && (missing2 = "kind")) || ((data10.code === undefined) && (missing2 = "code"))){
const err0 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/required",keyword:"required",params:{missingProperty: missing2},message:"must have required property '"+missing2+"'"};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
else {
const _errs31 = errors;
for(const key2 in data10){
if(!((key2 === "kind") || (key2 === "code"))){
const err1 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key2},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
break;
}
}
if(_errs31 === errors){
if(data10.kind !== undefined){
const _errs32 = errors;
if("exited" !== data10.kind){
const err2 = {instancePath:instancePath+"/attempts/" + i0+"/exit/kind",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/properties/kind/const",keyword:"const",params:{allowedValue: "exited"},message:"must be equal to constant"};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
var valid10 = _errs32 === errors;
}
else {
var valid10 = true;
}
if(valid10){
if(data10.code !== undefined){
let data12 = data10.code;
const _errs33 = errors;
if(!(((typeof data12 == "number") && (!(data12 % 1) && !isNaN(data12))) && (isFinite(data12)))){
const err3 = {instancePath:instancePath+"/attempts/" + i0+"/exit/code",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/properties/code/type",keyword:"type",params:{type: "integer"},message:"must be integer"};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
}
if(errors === _errs33){
if((typeof data12 == "number") && (isFinite(data12))){
if(data12 > 255 || isNaN(data12)){
const err4 = {instancePath:instancePath+"/attempts/" + i0+"/exit/code",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/properties/code/maximum",keyword:"maximum",params:{comparison: "<=", limit: 255},message:"must be <= 255"};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
}
else {
if(data12 < 0 || isNaN(data12)){
const err5 = {instancePath:instancePath+"/attempts/" + i0+"/exit/code",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/properties/code/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"};
if(vErrors === null){
vErrors = [err5];
}
else {
vErrors.push(err5);
}
errors++;
}
}
}
}
var valid10 = _errs33 === errors;
}
else {
var valid10 = true;
}
}
}
}
}
else {
const err6 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err6];
}
else {
vErrors.push(err6);
}
errors++;
}
}
var _valid0 = _errs29 === errors;
if(_valid0){
valid9 = true;
passing0 = 0;
var props0 = true;
}
const _errs35 = errors;
if(errors === _errs35){
if(data10 && typeof data10 == "object" && !Array.isArray(data10)){
let missing3;
if(((data10.kind === undefined) && (missing3 = "kind")) || ((data10.signal === undefined) && (missing3 = "signal"))){
const err7 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/required",keyword:"required",params:{missingProperty: missing3},message:"must have required property '"+missing3+"'"};
if(vErrors === null){
vErrors = [err7];
}
else {
vErrors.push(err7);
}
errors++;
}
else {
const _errs37 = errors;
for(const key3 in data10){
if(!((key3 === "kind") || (key3 === "signal"))){
const err8 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key3},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err8];
}
else {
vErrors.push(err8);
}
errors++;
break;
}
}
if(_errs37 === errors){
if(data10.kind !== undefined){
const _errs38 = errors;
if("signalled" !== data10.kind){
const err9 = {instancePath:instancePath+"/attempts/" + i0+"/exit/kind",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/properties/kind/const",keyword:"const",params:{allowedValue: "signalled"},message:"must be equal to constant"};
if(vErrors === null){
vErrors = [err9];
}
else {
vErrors.push(err9);
}
errors++;
}
var valid11 = _errs38 === errors;
}
else {
var valid11 = true;
}
if(valid11){
if(data10.signal !== undefined){
let data14 = data10.signal;
const _errs39 = errors;
if(errors === _errs39){
if(typeof data14 === "string"){
if(func1(data14) > 16){
const err10 = {instancePath:instancePath+"/attempts/" + i0+"/exit/signal",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/properties/signal/maxLength",keyword:"maxLength",params:{limit: 16},message:"must NOT have more than 16 characters"};
if(vErrors === null){
vErrors = [err10];
}
else {
vErrors.push(err10);
}
errors++;
}
else {
if(!pattern36.test(data14)){
const err11 = {instancePath:instancePath+"/attempts/" + i0+"/exit/signal",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/properties/signal/pattern",keyword:"pattern",params:{pattern: "^SIG[A-Z0-9+-]+$"},message:"must match pattern \""+"^SIG[A-Z0-9+-]+$"+"\""};
if(vErrors === null){
vErrors = [err11];
}
else {
vErrors.push(err11);
}
errors++;
}
}
}
else {
const err12 = {instancePath:instancePath+"/attempts/" + i0+"/exit/signal",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/properties/signal/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err12];
}
else {
vErrors.push(err12);
}
errors++;
}
}
var valid11 = _errs39 === errors;
}
else {
var valid11 = true;
}
}
}
}
}
else {
const err13 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err13];
}
else {
vErrors.push(err13);
}
errors++;
}
}
var _valid0 = _errs35 === errors;
if(_valid0 && valid9){
valid9 = false;
passing0 = [passing0, 1];
}
else {
if(_valid0){
valid9 = true;
passing0 = 1;
if(props0 !== true){
props0 = true;
}
}
const _errs41 = errors;
if(errors === _errs41){
if(data10 && typeof data10 == "object" && !Array.isArray(data10)){
let missing4;
if(((data10.kind === undefined) && (missing4 = "kind")) || ((data10.limit === undefined) && (missing4 = "limit"))){
const err14 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/2/required",keyword:"required",params:{missingProperty: missing4},message:"must have required property '"+missing4+"'"};
if(vErrors === null){
vErrors = [err14];
}
else {
vErrors.push(err14);
}
errors++;
}
else {
const _errs43 = errors;
for(const key4 in data10){
if(!((key4 === "kind") || (key4 === "limit"))){
const err15 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/2/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key4},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err15];
}
else {
vErrors.push(err15);
}
errors++;
break;
}
}
if(_errs43 === errors){
if(data10.kind !== undefined){
const _errs44 = errors;
if("limit" !== data10.kind){
const err16 = {instancePath:instancePath+"/attempts/" + i0+"/exit/kind",schemaPath:"common.schema.json#/$defs/exit/oneOf/2/properties/kind/const",keyword:"const",params:{allowedValue: "limit"},message:"must be equal to constant"};
if(vErrors === null){
vErrors = [err16];
}
else {
vErrors.push(err16);
}
errors++;
}
var valid12 = _errs44 === errors;
}
else {
var valid12 = true;
}
if(valid12){
if(data10.limit !== undefined){
let data16 = data10.limit;
const _errs45 = errors;
if(!((((((data16 === "wall") || (data16 === "cpu")) || (data16 === "memory")) || (data16 === "disk")) || (data16 === "files")) || (data16 === "output"))){
const err17 = {instancePath:instancePath+"/attempts/" + i0+"/exit/limit",schemaPath:"common.schema.json#/$defs/exit/oneOf/2/properties/limit/enum",keyword:"enum",params:{allowedValues: schema108.oneOf[2].properties.limit.enum},message:"must be equal to one of the allowed values"};
if(vErrors === null){
vErrors = [err17];
}
else {
vErrors.push(err17);
}
errors++;
}
var valid12 = _errs45 === errors;
}
else {
var valid12 = true;
}
}
}
}
}
else {
const err18 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/2/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err18];
}
else {
vErrors.push(err18);
}
errors++;
}
}
var _valid0 = _errs41 === errors;
if(_valid0 && valid9){
valid9 = false;
passing0 = [passing0, 2];
}
else {
if(_valid0){
valid9 = true;
passing0 = 2;
if(props0 !== true){
props0 = true;
}
}
const _errs46 = errors;
if(errors === _errs46){
if(data10 && typeof data10 == "object" && !Array.isArray(data10)){
let missing5;
if(((data10.kind === undefined) && (missing5 = "kind")) || ((data10.reason === undefined) && (missing5 = "reason"))){
const err19 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/required",keyword:"required",params:{missingProperty: missing5},message:"must have required property '"+missing5+"'"};
if(vErrors === null){
vErrors = [err19];
}
else {
vErrors.push(err19);
}
errors++;
}
else {
const _errs48 = errors;
for(const key5 in data10){
if(!((key5 === "kind") || (key5 === "reason"))){
const err20 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key5},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err20];
}
else {
vErrors.push(err20);
}
errors++;
break;
}
}
if(_errs48 === errors){
if(data10.kind !== undefined){
const _errs49 = errors;
if("failed" !== data10.kind){
const err21 = {instancePath:instancePath+"/attempts/" + i0+"/exit/kind",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/properties/kind/const",keyword:"const",params:{allowedValue: "failed"},message:"must be equal to constant"};
if(vErrors === null){
vErrors = [err21];
}
else {
vErrors.push(err21);
}
errors++;
}
var valid13 = _errs49 === errors;
}
else {
var valid13 = true;
}
if(valid13){
if(data10.reason !== undefined){
let data18 = data10.reason;
const _errs50 = errors;
if(errors === _errs50){
if(typeof data18 === "string"){
if(func1(data18) > 256){
const err22 = {instancePath:instancePath+"/attempts/" + i0+"/exit/reason",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/properties/reason/maxLength",keyword:"maxLength",params:{limit: 256},message:"must NOT have more than 256 characters"};
if(vErrors === null){
vErrors = [err22];
}
else {
vErrors.push(err22);
}
errors++;
}
}
else {
const err23 = {instancePath:instancePath+"/attempts/" + i0+"/exit/reason",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/properties/reason/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err23];
}
else {
vErrors.push(err23);
}
errors++;
}
}
var valid13 = _errs50 === errors;
}
else {
var valid13 = true;
}
}
}
}
}
else {
const err24 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err24];
}
else {
vErrors.push(err24);
}
errors++;
}
}
var _valid0 = _errs46 === errors;
if(_valid0 && valid9){
valid9 = false;
passing0 = [passing0, 3];
}
else {
if(_valid0){
valid9 = true;
passing0 = 3;
if(props0 !== true){
props0 = true;
}
}
}
}
}
if(!valid9){
const err25 = {instancePath:instancePath+"/attempts/" + i0+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf",keyword:"oneOf",params:{passingSchemas: passing0},message:"must match exactly one schema in oneOf"};
if(vErrors === null){
vErrors = [err25];
}
else {
vErrors.push(err25);
}
errors++;
validate67.errors = vErrors;
return false;
}
else {
errors = _errs28;
if(vErrors !== null){
if(_errs28){
vErrors.length = _errs28;
}
else {
vErrors = null;
}
}
}
var valid4 = _errs26 === errors;
}
else {
var valid4 = true;
}
}
}
}
}
}
}
else {
validate67.errors = [{instancePath:instancePath+"/attempts/" + i0,schemaPath:"#/properties/attempts/items/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid3 = _errs14 === errors;
if(!valid3){
break;
}
}
}
}
else {
validate67.errors = [{instancePath:instancePath+"/attempts",schemaPath:"#/properties/attempts/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.state !== undefined){
let data19 = data.state;
const _errs52 = errors;
const _errs53 = errors;
if(errors === _errs53){
if(typeof data19 === "string"){
if(func1(data19) > 4096){
validate67.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
}
else {
validate67.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs52 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
else {
validate67.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate67.errors = vErrors;
return errors === 0;
}
validate67.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema110 = {"type":"object","description":"Job adapter: a call of the live attempt's payload.","properties":{"op":{"const":"call"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"method":{"$ref":"common.schema.json#/$defs/callMethod"},"body":{"$ref":"common.schema.json#/$defs/callBody"},"state":{"$ref":"common.schema.json#/$defs/adapterState"}},"required":["op","item","job","attempt","method","body"],"additionalProperties":false};
const schema113 = {"type":"string","minLength":1,"maxLength":64,"pattern":"^[A-Za-z][A-Za-z0-9_.-]*$","description":"A method that the job's adapter allows."};
const pattern38 = new RegExp("^[A-Za-z][A-Za-z0-9_.-]*$", "u");

function validate69(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate69.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.method === undefined) && (missing0 = "method"))) || ((data.body === undefined) && (missing0 = "body"))){
validate69.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "method")) || (key0 === "body")) || (key0 === "state"))){
validate69.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("call" !== data.op){
validate69.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "call"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate69.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate69.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate69.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate69.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate69.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate69.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data3 = data.attempt;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate69.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000000 || isNaN(data3)){
validate69.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate69.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.method !== undefined){
let data4 = data.method;
const _errs11 = errors;
const _errs12 = errors;
if(errors === _errs12){
if(typeof data4 === "string"){
if(func1(data4) > 64){
validate69.errors = [{instancePath:instancePath+"/method",schemaPath:"common.schema.json#/$defs/callMethod/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data4) < 1){
validate69.errors = [{instancePath:instancePath+"/method",schemaPath:"common.schema.json#/$defs/callMethod/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern38.test(data4)){
validate69.errors = [{instancePath:instancePath+"/method",schemaPath:"common.schema.json#/$defs/callMethod/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z][A-Za-z0-9_.-]*$"},message:"must match pattern \""+"^[A-Za-z][A-Za-z0-9_.-]*$"+"\""}];
return false;
}
}
}
}
else {
validate69.errors = [{instancePath:instancePath+"/method",schemaPath:"common.schema.json#/$defs/callMethod/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.body !== undefined){
let data5 = data.body;
const _errs14 = errors;
const _errs15 = errors;
if(errors === _errs15){
if(typeof data5 === "string"){
if(func1(data5) > 24576){
validate69.errors = [{instancePath:instancePath+"/body",schemaPath:"common.schema.json#/$defs/callBody/maxLength",keyword:"maxLength",params:{limit: 24576},message:"must NOT have more than 24576 characters"}];
return false;
}
}
else {
validate69.errors = [{instancePath:instancePath+"/body",schemaPath:"common.schema.json#/$defs/callBody/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs14 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.state !== undefined){
let data6 = data.state;
const _errs17 = errors;
const _errs18 = errors;
if(errors === _errs18){
if(typeof data6 === "string"){
if(func1(data6) > 4096){
validate69.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
}
else {
validate69.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs17 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
else {
validate69.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate69.errors = vErrors;
return errors === 0;
}
validate69.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema116 = {"type":"object","description":"Job adapter: sub-units for the live attempt, or what became of some.","properties":{"op":{"const":"parts"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"verb":{"$ref":"common.schema.json#/$defs/partsVerb"},"parts":{"type":"array","items":{"$ref":"common.schema.json#/$defs/partId"},"maxItems":64},"state":{"$ref":"common.schema.json#/$defs/adapterState"}},"required":["op","item","job","attempt","verb","parts"],"additionalProperties":false};
const schema119 = {"enum":["take","finish"],"description":"Whether sub-units are wanted or done."};

function validate71(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate71.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.verb === undefined) && (missing0 = "verb"))) || ((data.parts === undefined) && (missing0 = "parts"))){
validate71.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "verb")) || (key0 === "parts")) || (key0 === "state"))){
validate71.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("parts" !== data.op){
validate71.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "parts"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate71.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate71.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate71.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate71.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate71.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate71.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data3 = data.attempt;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate71.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000000 || isNaN(data3)){
validate71.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate71.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verb !== undefined){
let data4 = data.verb;
const _errs11 = errors;
if(!((data4 === "take") || (data4 === "finish"))){
validate71.errors = [{instancePath:instancePath+"/verb",schemaPath:"common.schema.json#/$defs/partsVerb/enum",keyword:"enum",params:{allowedValues: schema119.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.parts !== undefined){
let data5 = data.parts;
const _errs13 = errors;
if(errors === _errs13){
if(Array.isArray(data5)){
if(data5.length > 64){
validate71.errors = [{instancePath:instancePath+"/parts",schemaPath:"#/properties/parts/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid4 = true;
const len0 = data5.length;
for(let i0=0; i0<len0; i0++){
let data6 = data5[i0];
const _errs15 = errors;
const _errs16 = errors;
if(errors === _errs16){
if(typeof data6 === "string"){
if(func1(data6) > 128){
validate71.errors = [{instancePath:instancePath+"/parts/" + i0,schemaPath:"common.schema.json#/$defs/partId/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data6) < 1){
validate71.errors = [{instancePath:instancePath+"/parts/" + i0,schemaPath:"common.schema.json#/$defs/partId/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern20.test(data6)){
validate71.errors = [{instancePath:instancePath+"/parts/" + i0,schemaPath:"common.schema.json#/$defs/partId/pattern",keyword:"pattern",params:{pattern: "^[!-~]+$"},message:"must match pattern \""+"^[!-~]+$"+"\""}];
return false;
}
}
}
}
else {
validate71.errors = [{instancePath:instancePath+"/parts/" + i0,schemaPath:"common.schema.json#/$defs/partId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid4 = _errs15 === errors;
if(!valid4){
break;
}
}
}
}
else {
validate71.errors = [{instancePath:instancePath+"/parts",schemaPath:"#/properties/parts/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs13 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.state !== undefined){
let data7 = data.state;
const _errs18 = errors;
const _errs19 = errors;
if(errors === _errs19){
if(typeof data7 === "string"){
if(func1(data7) > 4096){
validate71.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/maxLength",keyword:"maxLength",params:{limit: 4096},message:"must NOT have more than 4096 characters"}];
return false;
}
}
else {
validate71.errors = [{instancePath:instancePath+"/state",schemaPath:"common.schema.json#/$defs/adapterState/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs18 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
else {
validate71.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate71.errors = vErrors;
return errors === 0;
}
validate71.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema123 = {"type":"object","description":"Storage adapter: compare what was uploaded.","properties":{"op":{"const":"verify"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"manifest":{"$ref":"common.schema.json#/$defs/manifest"}},"required":["op","item","job","attempt","manifest"],"additionalProperties":false};
const schema126 = {"type":"array","items":{"$ref":"common.schema.json#/$defs/file"},"maxItems":64,"description":"Output files with size and digest."};
const schema127 = {"type":"object","description":"One output file as the agent sees it.","properties":{"name":{"$ref":"common.schema.json#/$defs/fileName"},"size":{"$ref":"common.schema.json#/$defs/size"},"sha256":{"$ref":"common.schema.json#/$defs/sha256"}},"required":["name","size","sha256"],"additionalProperties":false};

function validate75(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate75.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.name === undefined) && (missing0 = "name")) || ((data.size === undefined) && (missing0 = "size"))) || ((data.sha256 === undefined) && (missing0 = "sha256"))){
validate75.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((key0 === "name") || (key0 === "size")) || (key0 === "sha256"))){
validate75.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.name !== undefined){
let data0 = data.name;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 128){
validate75.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate75.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern17.test(data0)){
validate75.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"},message:"must match pattern \""+"^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"+"\""}];
return false;
}
}
}
}
else {
validate75.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.size !== undefined){
let data1 = data.size;
const _errs5 = errors;
const _errs6 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate75.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs6){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 1099511627776 || isNaN(data1)){
validate75.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1099511627776},message:"must be <= 1099511627776"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate75.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.sha256 !== undefined){
let data2 = data.sha256;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate75.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(!pattern18.test(data2)){
validate75.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{64}$"},message:"must match pattern \""+"^[0-9a-f]{64}$"+"\""}];
return false;
}
}
}
else {
validate75.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
else {
validate75.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate75.errors = vErrors;
return errors === 0;
}
validate75.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate74(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate74.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate74.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate75(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate75.errors : vErrors.concat(validate75.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate74.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate74.errors = vErrors;
return errors === 0;
}
validate74.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate73(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate73.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.manifest === undefined) && (missing0 = "manifest"))){
validate73.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "manifest"))){
validate73.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("verify" !== data.op){
validate73.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "verify"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate73.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate73.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate73.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate73.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate73.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate73.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data3 = data.attempt;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate73.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000000 || isNaN(data3)){
validate73.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate73.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.manifest !== undefined){
const _errs11 = errors;
if(!(validate74(data.manifest, {instancePath:instancePath+"/manifest",parentData:data,parentDataProperty:"manifest",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate74.errors : vErrors.concat(validate74.errors);
errors = vErrors.length;
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate73.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate73.errors = vErrors;
return errors === 0;
}
validate73.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema131 = {"type":"object","description":"Storage adapter: register the attempt's files as the result.","properties":{"op":{"const":"finalise"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"manifest":{"$ref":"common.schema.json#/$defs/manifest"}},"required":["op","item","job","attempt","manifest"],"additionalProperties":false};

function validate79(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate79.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.manifest === undefined) && (missing0 = "manifest"))){
validate79.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "manifest"))){
validate79.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("finalise" !== data.op){
validate79.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "finalise"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate79.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate79.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate79.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate79.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate79.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate79.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data3 = data.attempt;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate79.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000000 || isNaN(data3)){
validate79.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate79.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.manifest !== undefined){
const _errs11 = errors;
if(!(validate74(data.manifest, {instancePath:instancePath+"/manifest",parentData:data,parentDataProperty:"manifest",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate74.errors : vErrors.concat(validate74.errors);
errors = vErrors.length;
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate79.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate79.errors = vErrors;
return errors === 0;
}
validate79.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema134 = {"type":"object","description":"Storage adapter: remove the attempt's files and never finalise it.","properties":{"op":{"const":"discard"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"}},"required":["op","item","job","attempt"],"additionalProperties":false};

function validate82(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate82.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))){
validate82.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "attempt"))){
validate82.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("discard" !== data.op){
validate82.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "discard"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate82.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate82.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate82.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate82.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate82.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate82.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data3 = data.attempt;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate82.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000000 || isNaN(data3)){
validate82.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate82.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate82.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate82.errors = vErrors;
return errors === 0;
}
validate82.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema137 = {"type":"object","description":"Jobs wait in a queue of the adapter.","properties":{"op":{"const":"available"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"queue":{"$ref":"common.schema.json#/$defs/name"},"count":{"type":"integer","minimum":0,"maximum":1000000000}},"required":["op","item","queue","count"],"additionalProperties":false};

function validate84(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate84.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.queue === undefined) && (missing0 = "queue"))) || ((data.count === undefined) && (missing0 = "count"))){
validate84.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "op") || (key0 === "item")) || (key0 === "queue")) || (key0 === "count"))){
validate84.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("available" !== data.op){
validate84.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "available"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate84.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate84.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate84.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.queue !== undefined){
let data2 = data.queue;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate84.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data2) < 1){
validate84.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data2)){
validate84.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate84.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.count !== undefined){
let data3 = data.count;
const _errs8 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate84.errors = [{instancePath:instancePath+"/count",schemaPath:"#/properties/count/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs8){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000000000 || isNaN(data3)){
validate84.errors = [{instancePath:instancePath+"/count",schemaPath:"#/properties/count/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000000},message:"must be <= 1000000000"}];
return false;
}
else {
if(data3 < 0 || isNaN(data3)){
validate84.errors = [{instancePath:instancePath+"/count",schemaPath:"#/properties/count/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate84.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate84.errors = vErrors;
return errors === 0;
}
validate84.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

const schema139 = {"type":"object","description":"The framework ends a job.","properties":{"op":{"const":"kill"},"item":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Names an item within the session; answered once by the same number."},"job":{"$ref":"common.schema.json#/$defs/jobId"},"reason":{"$ref":"common.schema.json#/$defs/text"}},"required":["op","item","job","reason"],"additionalProperties":false};

function validate86(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate86.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((data.op === undefined) && (missing0 = "op")) || ((data.item === undefined) && (missing0 = "item"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.reason === undefined) && (missing0 = "reason"))){
validate86.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "op") || (key0 === "item")) || (key0 === "job")) || (key0 === "reason"))){
validate86.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.op !== undefined){
const _errs2 = errors;
if("kill" !== data.op){
validate86.errors = [{instancePath:instancePath+"/op",schemaPath:"#/properties/op/const",keyword:"const",params:{allowedValue: "kill"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.item !== undefined){
let data1 = data.item;
const _errs3 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate86.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs3){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 9007199254740991 || isNaN(data1)){
validate86.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate86.errors = [{instancePath:instancePath+"/item",schemaPath:"#/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data2 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 26){
validate86.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data2)){
validate86.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate86.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.reason !== undefined){
let data3 = data.reason;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data3 === "string"){
if(func1(data3) > 512){
validate86.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
}
else {
validate86.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate86.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate86.errors = vErrors;
return errors === 0;
}
validate86.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate55(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="ask.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate55.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((data.kind === undefined) && (missing0 = "kind")) || ((data.items === undefined) && (missing0 = "items"))){
validate55.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((key0 === "kind") || (key0 === "items"))){
validate55.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("ask" !== data.kind){
validate55.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "ask"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.items !== undefined){
let data1 = data.items;
const _errs3 = errors;
if(errors === _errs3){
if(Array.isArray(data1)){
if(data1.length > 256){
validate55.errors = [{instancePath:instancePath+"/items",schemaPath:"#/properties/items/maxItems",keyword:"maxItems",params:{limit: 256},message:"must NOT have more than 256 items"}];
return false;
}
else {
if(data1.length < 1){
validate55.errors = [{instancePath:instancePath+"/items",schemaPath:"#/properties/items/minItems",keyword:"minItems",params:{limit: 1},message:"must NOT have fewer than 1 items"}];
return false;
}
else {
var valid1 = true;
const len0 = data1.length;
for(let i0=0; i0<len0; i0++){
let data2 = data1[i0];
const _errs5 = errors;
const _errs6 = errors;
let valid2 = false;
let passing0 = null;
const _errs7 = errors;
if(!(validate56(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate56.errors : vErrors.concat(validate56.errors);
errors = vErrors.length;
}
var _valid0 = _errs7 === errors;
if(_valid0){
valid2 = true;
passing0 = 0;
var props0 = true;
}
const _errs8 = errors;
if(!(validate58(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate58.errors : vErrors.concat(validate58.errors);
errors = vErrors.length;
}
var _valid0 = _errs8 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 1];
}
else {
if(_valid0){
valid2 = true;
passing0 = 1;
if(props0 !== true){
props0 = true;
}
}
const _errs9 = errors;
if(!(validate60(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate60.errors : vErrors.concat(validate60.errors);
errors = vErrors.length;
}
var _valid0 = _errs9 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 2];
}
else {
if(_valid0){
valid2 = true;
passing0 = 2;
if(props0 !== true){
props0 = true;
}
}
const _errs10 = errors;
if(!(validate62(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate62.errors : vErrors.concat(validate62.errors);
errors = vErrors.length;
}
var _valid0 = _errs10 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 3];
}
else {
if(_valid0){
valid2 = true;
passing0 = 3;
if(props0 !== true){
props0 = true;
}
}
const _errs11 = errors;
if(!(validate64(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate64.errors : vErrors.concat(validate64.errors);
errors = vErrors.length;
}
var _valid0 = _errs11 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 4];
}
else {
if(_valid0){
valid2 = true;
passing0 = 4;
if(props0 !== true){
props0 = true;
}
}
const _errs12 = errors;
if(!(validate67(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate67.errors : vErrors.concat(validate67.errors);
errors = vErrors.length;
}
var _valid0 = _errs12 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 5];
}
else {
if(_valid0){
valid2 = true;
passing0 = 5;
if(props0 !== true){
props0 = true;
}
}
const _errs13 = errors;
if(!(validate69(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate69.errors : vErrors.concat(validate69.errors);
errors = vErrors.length;
}
var _valid0 = _errs13 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 6];
}
else {
if(_valid0){
valid2 = true;
passing0 = 6;
if(props0 !== true){
props0 = true;
}
}
const _errs14 = errors;
if(!(validate71(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate71.errors : vErrors.concat(validate71.errors);
errors = vErrors.length;
}
var _valid0 = _errs14 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 7];
}
else {
if(_valid0){
valid2 = true;
passing0 = 7;
if(props0 !== true){
props0 = true;
}
}
const _errs15 = errors;
const _errs16 = errors;
if(errors === _errs16){
if(data2 && typeof data2 == "object" && !Array.isArray(data2)){
let missing1;
if((((data2.op === undefined) && (missing1 = "op")) || ((data2.item === undefined) && (missing1 = "item"))) || ((data2.grant === undefined) && (missing1 = "grant"))){
const err0 = {instancePath:instancePath+"/items/" + i0,schemaPath:"common.schema.json#/$defs/opGrant/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
else {
const _errs18 = errors;
for(const key1 in data2){
if(!(((key1 === "op") || (key1 === "item")) || (key1 === "grant"))){
const err1 = {instancePath:instancePath+"/items/" + i0,schemaPath:"common.schema.json#/$defs/opGrant/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
break;
}
}
if(_errs18 === errors){
if(data2.op !== undefined){
const _errs19 = errors;
if("grant" !== data2.op){
const err2 = {instancePath:instancePath+"/items/" + i0+"/op",schemaPath:"common.schema.json#/$defs/opGrant/properties/op/const",keyword:"const",params:{allowedValue: "grant"},message:"must be equal to constant"};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
var valid4 = _errs19 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data2.item !== undefined){
let data4 = data2.item;
const _errs20 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
const err3 = {instancePath:instancePath+"/items/" + i0+"/item",schemaPath:"common.schema.json#/$defs/opGrant/properties/item/type",keyword:"type",params:{type: "integer"},message:"must be integer"};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
}
if(errors === _errs20){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 9007199254740991 || isNaN(data4)){
const err4 = {instancePath:instancePath+"/items/" + i0+"/item",schemaPath:"common.schema.json#/$defs/opGrant/properties/item/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
}
else {
if(data4 < 1 || isNaN(data4)){
const err5 = {instancePath:instancePath+"/items/" + i0+"/item",schemaPath:"common.schema.json#/$defs/opGrant/properties/item/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"};
if(vErrors === null){
vErrors = [err5];
}
else {
vErrors.push(err5);
}
errors++;
}
}
}
}
var valid4 = _errs20 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data2.grant !== undefined){
let data5 = data2.grant;
const _errs22 = errors;
if(errors === _errs22){
if(typeof data5 === "string"){
if(func1(data5) > 16384){
const err6 = {instancePath:instancePath+"/items/" + i0+"/grant",schemaPath:"common.schema.json#/$defs/opGrant/properties/grant/maxLength",keyword:"maxLength",params:{limit: 16384},message:"must NOT have more than 16384 characters"};
if(vErrors === null){
vErrors = [err6];
}
else {
vErrors.push(err6);
}
errors++;
}
else {
if(func1(data5) < 1){
const err7 = {instancePath:instancePath+"/items/" + i0+"/grant",schemaPath:"common.schema.json#/$defs/opGrant/properties/grant/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"};
if(vErrors === null){
vErrors = [err7];
}
else {
vErrors.push(err7);
}
errors++;
}
else {
if(!pattern4.test(data5)){
const err8 = {instancePath:instancePath+"/items/" + i0+"/grant",schemaPath:"common.schema.json#/$defs/opGrant/properties/grant/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_.-]+$"},message:"must match pattern \""+"^[A-Za-z0-9_.-]+$"+"\""};
if(vErrors === null){
vErrors = [err8];
}
else {
vErrors.push(err8);
}
errors++;
}
}
}
}
else {
const err9 = {instancePath:instancePath+"/items/" + i0+"/grant",schemaPath:"common.schema.json#/$defs/opGrant/properties/grant/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err9];
}
else {
vErrors.push(err9);
}
errors++;
}
}
var valid4 = _errs22 === errors;
}
else {
var valid4 = true;
}
}
}
}
}
}
else {
const err10 = {instancePath:instancePath+"/items/" + i0,schemaPath:"common.schema.json#/$defs/opGrant/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err10];
}
else {
vErrors.push(err10);
}
errors++;
}
}
var _valid0 = _errs15 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 8];
}
else {
if(_valid0){
valid2 = true;
passing0 = 8;
if(props0 !== true){
props0 = true;
}
}
const _errs24 = errors;
if(!(validate73(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate73.errors : vErrors.concat(validate73.errors);
errors = vErrors.length;
}
var _valid0 = _errs24 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 9];
}
else {
if(_valid0){
valid2 = true;
passing0 = 9;
if(props0 !== true){
props0 = true;
}
}
const _errs25 = errors;
if(!(validate79(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate79.errors : vErrors.concat(validate79.errors);
errors = vErrors.length;
}
var _valid0 = _errs25 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 10];
}
else {
if(_valid0){
valid2 = true;
passing0 = 10;
if(props0 !== true){
props0 = true;
}
}
const _errs26 = errors;
if(!(validate82(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate82.errors : vErrors.concat(validate82.errors);
errors = vErrors.length;
}
var _valid0 = _errs26 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 11];
}
else {
if(_valid0){
valid2 = true;
passing0 = 11;
if(props0 !== true){
props0 = true;
}
}
const _errs27 = errors;
if(!(validate84(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate84.errors : vErrors.concat(validate84.errors);
errors = vErrors.length;
}
var _valid0 = _errs27 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 12];
}
else {
if(_valid0){
valid2 = true;
passing0 = 12;
if(props0 !== true){
props0 = true;
}
}
const _errs28 = errors;
if(!(validate86(data2, {instancePath:instancePath+"/items/" + i0,parentData:data1,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate86.errors : vErrors.concat(validate86.errors);
errors = vErrors.length;
}
var _valid0 = _errs28 === errors;
if(_valid0 && valid2){
valid2 = false;
passing0 = [passing0, 13];
}
else {
if(_valid0){
valid2 = true;
passing0 = 13;
if(props0 !== true){
props0 = true;
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
if(!valid2){
const err11 = {instancePath:instancePath+"/items/" + i0,schemaPath:"#/properties/items/items/oneOf",keyword:"oneOf",params:{passingSchemas: passing0},message:"must match exactly one schema in oneOf"};
if(vErrors === null){
vErrors = [err11];
}
else {
vErrors.push(err11);
}
errors++;
validate55.errors = vErrors;
return false;
}
else {
errors = _errs6;
if(vErrors !== null){
if(_errs6){
vErrors.length = _errs6;
}
else {
vErrors = null;
}
}
}
var valid1 = _errs5 === errors;
if(!valid1){
break;
}
}
}
}
}
else {
validate55.errors = [{instancePath:instancePath+"/items",schemaPath:"#/properties/items/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
else {
validate55.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate55.errors = vErrors;
return errors === 0;
}
validate55.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isBrokerHello = validate88;
const schema142 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"broker-hello.schema.json","title":"BrokerHello","description":"Payload of handshake message 2 (XX): who this broker instance is.","type":"object","properties":{"kind":{"const":"broker-hello"},"certificate":{"type":"string","minLength":1,"maxLength":1024,"pattern":"^[A-Za-z0-9_.-]+$","description":"Compact JWS that binds the instance's session key to the installation."},"session":{"$ref":"common.schema.json#/$defs/sessionId"},"versions":{"type":"array","items":{"$ref":"common.schema.json#/$defs/version"},"minItems":1,"maxItems":8,"description":"Versions served."},"maxSlots":{"type":"integer","minimum":1,"maximum":64}},"required":["kind","certificate","session","versions","maxSlots"],"additionalProperties":false};

function validate88(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="broker-hello.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate88.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.kind === undefined) && (missing0 = "kind")) || ((data.certificate === undefined) && (missing0 = "certificate"))) || ((data.session === undefined) && (missing0 = "session"))) || ((data.versions === undefined) && (missing0 = "versions"))) || ((data.maxSlots === undefined) && (missing0 = "maxSlots"))){
validate88.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "kind") || (key0 === "certificate")) || (key0 === "session")) || (key0 === "versions")) || (key0 === "maxSlots"))){
validate88.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("broker-hello" !== data.kind){
validate88.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "broker-hello"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.certificate !== undefined){
let data1 = data.certificate;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data1 === "string"){
if(func1(data1) > 1024){
validate88.errors = [{instancePath:instancePath+"/certificate",schemaPath:"#/properties/certificate/maxLength",keyword:"maxLength",params:{limit: 1024},message:"must NOT have more than 1024 characters"}];
return false;
}
else {
if(func1(data1) < 1){
validate88.errors = [{instancePath:instancePath+"/certificate",schemaPath:"#/properties/certificate/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern4.test(data1)){
validate88.errors = [{instancePath:instancePath+"/certificate",schemaPath:"#/properties/certificate/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_.-]+$"},message:"must match pattern \""+"^[A-Za-z0-9_.-]+$"+"\""}];
return false;
}
}
}
}
else {
validate88.errors = [{instancePath:instancePath+"/certificate",schemaPath:"#/properties/certificate/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.session !== undefined){
let data2 = data.session;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data2 === "string"){
if(func1(data2) > 16){
validate88.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/maxLength",keyword:"maxLength",params:{limit: 16},message:"must NOT have more than 16 characters"}];
return false;
}
else {
if(!pattern5.test(data2)){
validate88.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{16}$"},message:"must match pattern \""+"^[0-9a-f]{16}$"+"\""}];
return false;
}
}
}
else {
validate88.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.versions !== undefined){
let data3 = data.versions;
const _errs8 = errors;
if(errors === _errs8){
if(Array.isArray(data3)){
if(data3.length > 8){
validate88.errors = [{instancePath:instancePath+"/versions",schemaPath:"#/properties/versions/maxItems",keyword:"maxItems",params:{limit: 8},message:"must NOT have more than 8 items"}];
return false;
}
else {
if(data3.length < 1){
validate88.errors = [{instancePath:instancePath+"/versions",schemaPath:"#/properties/versions/minItems",keyword:"minItems",params:{limit: 1},message:"must NOT have fewer than 1 items"}];
return false;
}
else {
var valid2 = true;
const len0 = data3.length;
for(let i0=0; i0<len0; i0++){
let data4 = data3[i0];
const _errs10 = errors;
const _errs11 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate88.errors = [{instancePath:instancePath+"/versions/" + i0,schemaPath:"common.schema.json#/$defs/version/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs11){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000 || isNaN(data4)){
validate88.errors = [{instancePath:instancePath+"/versions/" + i0,schemaPath:"common.schema.json#/$defs/version/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000},message:"must be <= 1000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate88.errors = [{instancePath:instancePath+"/versions/" + i0,schemaPath:"common.schema.json#/$defs/version/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid2 = _errs10 === errors;
if(!valid2){
break;
}
}
}
}
}
else {
validate88.errors = [{instancePath:instancePath+"/versions",schemaPath:"#/properties/versions/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.maxSlots !== undefined){
let data5 = data.maxSlots;
const _errs13 = errors;
if(!(((typeof data5 == "number") && (!(data5 % 1) && !isNaN(data5))) && (isFinite(data5)))){
validate88.errors = [{instancePath:instancePath+"/maxSlots",schemaPath:"#/properties/maxSlots/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data5 == "number") && (isFinite(data5))){
if(data5 > 64 || isNaN(data5)){
validate88.errors = [{instancePath:instancePath+"/maxSlots",schemaPath:"#/properties/maxSlots/maximum",keyword:"maximum",params:{comparison: "<=", limit: 64},message:"must be <= 64"}];
return false;
}
else {
if(data5 < 1 || isNaN(data5)){
validate88.errors = [{instancePath:instancePath+"/maxSlots",schemaPath:"#/properties/maxSlots/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs13 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate88.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate88.errors = vErrors;
return errors === 0;
}
validate88.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isCall = validate89;
const schema145 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"call.schema.json","title":"Call","description":"An opaque call to the job's adapter; live attempt only.","type":"object","properties":{"kind":{"const":"call"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"method":{"$ref":"common.schema.json#/$defs/callMethod"},"body":{"$ref":"common.schema.json#/$defs/callBody"}},"required":["kind","slot","counter","job","attempt","method","body"],"additionalProperties":false};
const schema146 = {"type":"integer","minimum":0,"maximum":63,"description":"Which of the agent's slots speaks; 0 is for renewals only."};
const schema147 = {"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Rises with every new message of the slot; a resend carries the same value."};

function validate89(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="call.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate89.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.method === undefined) && (missing0 = "method"))) || ((data.body === undefined) && (missing0 = "body"))){
validate89.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "method")) || (key0 === "body"))){
validate89.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("call" !== data.kind){
validate89.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "call"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate89.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate89.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate89.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate89.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate89.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate89.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data3 = data.job;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate89.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate89.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate89.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data4 = data.attempt;
const _errs12 = errors;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate89.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000000 || isNaN(data4)){
validate89.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate89.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.method !== undefined){
let data5 = data.method;
const _errs15 = errors;
const _errs16 = errors;
if(errors === _errs16){
if(typeof data5 === "string"){
if(func1(data5) > 64){
validate89.errors = [{instancePath:instancePath+"/method",schemaPath:"common.schema.json#/$defs/callMethod/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data5) < 1){
validate89.errors = [{instancePath:instancePath+"/method",schemaPath:"common.schema.json#/$defs/callMethod/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern38.test(data5)){
validate89.errors = [{instancePath:instancePath+"/method",schemaPath:"common.schema.json#/$defs/callMethod/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z][A-Za-z0-9_.-]*$"},message:"must match pattern \""+"^[A-Za-z][A-Za-z0-9_.-]*$"+"\""}];
return false;
}
}
}
}
else {
validate89.errors = [{instancePath:instancePath+"/method",schemaPath:"common.schema.json#/$defs/callMethod/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.body !== undefined){
let data6 = data.body;
const _errs18 = errors;
const _errs19 = errors;
if(errors === _errs19){
if(typeof data6 === "string"){
if(func1(data6) > 24576){
validate89.errors = [{instancePath:instancePath+"/body",schemaPath:"common.schema.json#/$defs/callBody/maxLength",keyword:"maxLength",params:{limit: 24576},message:"must NOT have more than 24576 characters"}];
return false;
}
}
else {
validate89.errors = [{instancePath:instancePath+"/body",schemaPath:"common.schema.json#/$defs/callBody/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs18 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
else {
validate89.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate89.errors = vErrors;
return errors === 0;
}
validate89.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isCalled = validate90;
const schema152 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"called.schema.json","title":"Called","description":"Answer to a call.","type":"object","properties":{"kind":{"const":"called"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"body":{"$ref":"common.schema.json#/$defs/callBody"}},"required":["kind","slot","counter","job","attempt","body"],"additionalProperties":false};

function validate90(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="called.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate90.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.body === undefined) && (missing0 = "body"))){
validate90.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "body"))){
validate90.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("called" !== data.kind){
validate90.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "called"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate90.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate90.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate90.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate90.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate90.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate90.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data3 = data.job;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate90.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate90.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate90.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data4 = data.attempt;
const _errs12 = errors;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate90.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000000 || isNaN(data4)){
validate90.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate90.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.body !== undefined){
let data5 = data.body;
const _errs15 = errors;
const _errs16 = errors;
if(errors === _errs16){
if(typeof data5 === "string"){
if(func1(data5) > 24576){
validate90.errors = [{instancePath:instancePath+"/body",schemaPath:"common.schema.json#/$defs/callBody/maxLength",keyword:"maxLength",params:{limit: 24576},message:"must NOT have more than 24576 characters"}];
return false;
}
}
else {
validate90.errors = [{instancePath:instancePath+"/body",schemaPath:"common.schema.json#/$defs/callBody/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
else {
validate90.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate90.errors = vErrors;
return errors === 0;
}
validate90.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isCapabilities = validate91;
const schema158 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"capabilities.schema.json","title":"Capabilities","description":"Answer to outputs.","type":"object","properties":{"kind":{"const":"capabilities"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"capabilities":{"$ref":"common.schema.json#/$defs/capabilities"},"verdicts":{"$ref":"common.schema.json#/$defs/verdicts"}},"required":["kind","slot","counter","job","attempt","capabilities","verdicts"],"additionalProperties":false};

function validate92(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate92.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 32){
validate92.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 32},message:"must NOT have more than 32 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate43(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate43.errors : vErrors.concat(validate43.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate92.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate92.errors = vErrors;
return errors === 0;
}
validate92.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};

const schema164 = {"type":"array","items":{"$ref":"common.schema.json#/$defs/verdictItem"},"maxItems":64,"description":"Verdicts the agent has not named as seen, oldest first."};
const schema165 = {"type":"object","description":"A verdict not yet named as seen.","properties":{"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"verdict":{"$ref":"common.schema.json#/$defs/verdict"},"reason":{"$ref":"common.schema.json#/$defs/text"}},"required":["job","attempt","verdict","reason"],"additionalProperties":false};
const schema168 = {"description":"What became of a report.","enum":["verifying","waiting","committed","refused"]};

function validate96(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate96.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((data.job === undefined) && (missing0 = "job")) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.verdict === undefined) && (missing0 = "verdict"))) || ((data.reason === undefined) && (missing0 = "reason"))){
validate96.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "job") || (key0 === "attempt")) || (key0 === "verdict")) || (key0 === "reason"))){
validate96.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.job !== undefined){
let data0 = data.job;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 26){
validate96.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data0)){
validate96.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate96.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data1 = data.attempt;
const _errs5 = errors;
const _errs6 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate96.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs6){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 1000000 || isNaN(data1)){
validate96.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate96.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verdict !== undefined){
let data2 = data.verdict;
const _errs8 = errors;
if(!((((data2 === "verifying") || (data2 === "waiting")) || (data2 === "committed")) || (data2 === "refused"))){
validate96.errors = [{instancePath:instancePath+"/verdict",schemaPath:"common.schema.json#/$defs/verdict/enum",keyword:"enum",params:{allowedValues: schema168.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.reason !== undefined){
let data3 = data.reason;
const _errs10 = errors;
const _errs11 = errors;
if(errors === _errs11){
if(typeof data3 === "string"){
if(func1(data3) > 512){
validate96.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
}
else {
validate96.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs10 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate96.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate96.errors = vErrors;
return errors === 0;
}
validate96.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate95(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate95.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate95.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate96(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate96.errors : vErrors.concat(validate96.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate95.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate95.errors = vErrors;
return errors === 0;
}
validate95.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate91(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="capabilities.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate91.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.capabilities === undefined) && (missing0 = "capabilities"))) || ((data.verdicts === undefined) && (missing0 = "verdicts"))){
validate91.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "capabilities")) || (key0 === "verdicts"))){
validate91.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("capabilities" !== data.kind){
validate91.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "capabilities"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate91.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate91.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate91.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate91.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate91.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate91.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data3 = data.job;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate91.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate91.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate91.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data4 = data.attempt;
const _errs12 = errors;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate91.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000000 || isNaN(data4)){
validate91.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate91.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.capabilities !== undefined){
const _errs15 = errors;
if(!(validate92(data.capabilities, {instancePath:instancePath+"/capabilities",parentData:data,parentDataProperty:"capabilities",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate92.errors : vErrors.concat(validate92.errors);
errors = vErrors.length;
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verdicts !== undefined){
const _errs16 = errors;
if(!(validate95(data.verdicts, {instancePath:instancePath+"/verdicts",parentData:data,parentDataProperty:"verdicts",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate95.errors : vErrors.concat(validate95.errors);
errors = vErrors.length;
}
var valid0 = _errs16 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
else {
validate91.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate91.errors = vErrors;
return errors === 0;
}
validate91.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isCertificate = validate99;
const schema170 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"certificate.schema.json","title":"Certificate","description":"Claims of a broker instance's certificate.","type":"object","properties":{"iss":{"$ref":"common.schema.json#/$defs/name"},"instance":{"$ref":"common.schema.json#/$defs/name"},"kex":{"$ref":"common.schema.json#/$defs/key"},"address":{"type":"string","minLength":1,"maxLength":200,"pattern":"^[!-~]+$","description":"The instance's own bus address."},"iat":{"type":"integer","minimum":0,"maximum":9007199254740991},"exp":{"type":"integer","minimum":0,"maximum":9007199254740991}},"required":["iss","instance","kex","address","iat","exp"],"additionalProperties":false};
const schema173 = {"type":"string","maxLength":43,"pattern":"^[A-Za-z0-9_-]{43}$","description":"A raw 32-byte public key in base64url."};
const pattern58 = new RegExp("^[A-Za-z0-9_-]{43}$", "u");

function validate99(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="certificate.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate99.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((data.iss === undefined) && (missing0 = "iss")) || ((data.instance === undefined) && (missing0 = "instance"))) || ((data.kex === undefined) && (missing0 = "kex"))) || ((data.address === undefined) && (missing0 = "address"))) || ((data.iat === undefined) && (missing0 = "iat"))) || ((data.exp === undefined) && (missing0 = "exp"))){
validate99.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((((key0 === "iss") || (key0 === "instance")) || (key0 === "kex")) || (key0 === "address")) || (key0 === "iat")) || (key0 === "exp"))){
validate99.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.iss !== undefined){
let data0 = data.iss;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 64){
validate99.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate99.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data0)){
validate99.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate99.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.instance !== undefined){
let data1 = data.instance;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data1 === "string"){
if(func1(data1) > 64){
validate99.errors = [{instancePath:instancePath+"/instance",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data1) < 1){
validate99.errors = [{instancePath:instancePath+"/instance",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data1)){
validate99.errors = [{instancePath:instancePath+"/instance",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate99.errors = [{instancePath:instancePath+"/instance",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.kex !== undefined){
let data2 = data.kex;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data2 === "string"){
if(func1(data2) > 43){
validate99.errors = [{instancePath:instancePath+"/kex",schemaPath:"common.schema.json#/$defs/key/maxLength",keyword:"maxLength",params:{limit: 43},message:"must NOT have more than 43 characters"}];
return false;
}
else {
if(!pattern58.test(data2)){
validate99.errors = [{instancePath:instancePath+"/kex",schemaPath:"common.schema.json#/$defs/key/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_-]{43}$"},message:"must match pattern \""+"^[A-Za-z0-9_-]{43}$"+"\""}];
return false;
}
}
}
else {
validate99.errors = [{instancePath:instancePath+"/kex",schemaPath:"common.schema.json#/$defs/key/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.address !== undefined){
let data3 = data.address;
const _errs11 = errors;
if(errors === _errs11){
if(typeof data3 === "string"){
if(func1(data3) > 200){
validate99.errors = [{instancePath:instancePath+"/address",schemaPath:"#/properties/address/maxLength",keyword:"maxLength",params:{limit: 200},message:"must NOT have more than 200 characters"}];
return false;
}
else {
if(func1(data3) < 1){
validate99.errors = [{instancePath:instancePath+"/address",schemaPath:"#/properties/address/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern20.test(data3)){
validate99.errors = [{instancePath:instancePath+"/address",schemaPath:"#/properties/address/pattern",keyword:"pattern",params:{pattern: "^[!-~]+$"},message:"must match pattern \""+"^[!-~]+$"+"\""}];
return false;
}
}
}
}
else {
validate99.errors = [{instancePath:instancePath+"/address",schemaPath:"#/properties/address/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.iat !== undefined){
let data4 = data.iat;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate99.errors = [{instancePath:instancePath+"/iat",schemaPath:"#/properties/iat/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 9007199254740991 || isNaN(data4)){
validate99.errors = [{instancePath:instancePath+"/iat",schemaPath:"#/properties/iat/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data4 < 0 || isNaN(data4)){
validate99.errors = [{instancePath:instancePath+"/iat",schemaPath:"#/properties/iat/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs13 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.exp !== undefined){
let data5 = data.exp;
const _errs15 = errors;
if(!(((typeof data5 == "number") && (!(data5 % 1) && !isNaN(data5))) && (isFinite(data5)))){
validate99.errors = [{instancePath:instancePath+"/exp",schemaPath:"#/properties/exp/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs15){
if((typeof data5 == "number") && (isFinite(data5))){
if(data5 > 9007199254740991 || isNaN(data5)){
validate99.errors = [{instancePath:instancePath+"/exp",schemaPath:"#/properties/exp/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data5 < 0 || isNaN(data5)){
validate99.errors = [{instancePath:instancePath+"/exp",schemaPath:"#/properties/exp/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
else {
validate99.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate99.errors = vErrors;
return errors === 0;
}
validate99.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isError = validate100;
const schema174 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"error.schema.json","title":"Error","description":"The message changed nothing.","type":"object","properties":{"kind":{"const":"error"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"code":{"$ref":"common.schema.json#/$defs/errorCode"},"message":{"$ref":"common.schema.json#/$defs/text"}},"required":["kind","slot","counter","code","message"],"additionalProperties":false};

function validate100(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="error.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate100.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.code === undefined) && (missing0 = "code"))) || ((data.message === undefined) && (missing0 = "message"))){
validate100.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "code")) || (key0 === "message"))){
validate100.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("error" !== data.kind){
validate100.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "error"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate100.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate100.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate100.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate100.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate100.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate100.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.code !== undefined){
let data3 = data.code;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 64){
validate100.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data3) < 1){
validate100.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern7.test(data3)){
validate100.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/pattern",keyword:"pattern",params:{pattern: "^[A-Z][A-Z0-9_]*$"},message:"must match pattern \""+"^[A-Z][A-Z0-9_]*$"+"\""}];
return false;
}
}
}
}
else {
validate100.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.message !== undefined){
let data4 = data.message;
const _errs12 = errors;
const _errs13 = errors;
if(errors === _errs13){
if(typeof data4 === "string"){
if(func1(data4) > 512){
validate100.errors = [{instancePath:instancePath+"/message",schemaPath:"common.schema.json#/$defs/text/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
}
else {
validate100.errors = [{instancePath:instancePath+"/message",schemaPath:"common.schema.json#/$defs/text/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate100.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate100.errors = vErrors;
return errors === 0;
}
validate100.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isFarewell = validate101;
const schema179 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"farewell.schema.json","title":"Farewell","description":"The broker will not serve this agent; the reason is final for this start.","type":"object","properties":{"kind":{"const":"farewell"},"code":{"$ref":"common.schema.json#/$defs/errorCode"},"message":{"$ref":"common.schema.json#/$defs/text"}},"required":["kind","code","message"],"additionalProperties":false};

function validate101(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="farewell.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate101.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.kind === undefined) && (missing0 = "kind")) || ((data.code === undefined) && (missing0 = "code"))) || ((data.message === undefined) && (missing0 = "message"))){
validate101.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((key0 === "kind") || (key0 === "code")) || (key0 === "message"))){
validate101.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("farewell" !== data.kind){
validate101.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "farewell"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.code !== undefined){
let data1 = data.code;
const _errs3 = errors;
const _errs4 = errors;
if(errors === _errs4){
if(typeof data1 === "string"){
if(func1(data1) > 64){
validate101.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data1) < 1){
validate101.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern7.test(data1)){
validate101.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/pattern",keyword:"pattern",params:{pattern: "^[A-Z][A-Z0-9_]*$"},message:"must match pattern \""+"^[A-Z][A-Z0-9_]*$"+"\""}];
return false;
}
}
}
}
else {
validate101.errors = [{instancePath:instancePath+"/code",schemaPath:"common.schema.json#/$defs/errorCode/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.message !== undefined){
let data2 = data.message;
const _errs6 = errors;
const _errs7 = errors;
if(errors === _errs7){
if(typeof data2 === "string"){
if(func1(data2) > 512){
validate101.errors = [{instancePath:instancePath+"/message",schemaPath:"common.schema.json#/$defs/text/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
}
else {
validate101.errors = [{instancePath:instancePath+"/message",schemaPath:"common.schema.json#/$defs/text/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
else {
validate101.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate101.errors = vErrors;
return errors === 0;
}
validate101.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isGrant = validate102;
const schema182 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"grant.schema.json","title":"Grant","description":"Claims of a grant: what the broker says one attempt may do with storage.","type":"object","properties":{"iss":{"$ref":"common.schema.json#/$defs/name"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"jkt":{"type":"string","maxLength":43,"pattern":"^[A-Za-z0-9_-]{43}$","description":"RFC 7638 thumbprint of the agent's signing key."},"get":{"type":"array","items":{"$ref":"common.schema.json#/$defs/input"},"maxItems":16},"put":{"type":"array","items":{"type":"object","properties":{"name":{"$ref":"common.schema.json#/$defs/fileName"},"maxBytes":{"$ref":"common.schema.json#/$defs/size"},"sha256":{"$ref":"common.schema.json#/$defs/sha256"}},"required":["name","maxBytes"],"additionalProperties":false},"maxItems":16},"totalBytes":{"$ref":"common.schema.json#/$defs/size"},"iat":{"type":"integer","minimum":0,"maximum":9007199254740991},"exp":{"type":"integer","minimum":0,"maximum":9007199254740991}},"required":["iss","job","attempt","jkt","get","put","totalBytes","iat","exp"],"additionalProperties":false};

function validate103(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate103.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.name === undefined) && (missing0 = "name")) || ((data.size === undefined) && (missing0 = "size"))) || ((data.sha256 === undefined) && (missing0 = "sha256"))){
validate103.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "name") || (key0 === "size")) || (key0 === "sha256")) || (key0 === "executable"))){
validate103.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.name !== undefined){
let data0 = data.name;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 128){
validate103.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate103.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern17.test(data0)){
validate103.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"},message:"must match pattern \""+"^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"+"\""}];
return false;
}
}
}
}
else {
validate103.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.size !== undefined){
let data1 = data.size;
const _errs5 = errors;
const _errs6 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate103.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs6){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 1099511627776 || isNaN(data1)){
validate103.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1099511627776},message:"must be <= 1099511627776"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate103.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.sha256 !== undefined){
let data2 = data.sha256;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate103.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(!pattern18.test(data2)){
validate103.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{64}$"},message:"must match pattern \""+"^[0-9a-f]{64}$"+"\""}];
return false;
}
}
}
else {
validate103.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.executable !== undefined){
const _errs11 = errors;
if(typeof data.executable !== "boolean"){
validate103.errors = [{instancePath:instancePath+"/executable",schemaPath:"#/properties/executable/type",keyword:"type",params:{type: "boolean"},message:"must be boolean"}];
return false;
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate103.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate103.errors = vErrors;
return errors === 0;
}
validate103.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate102(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="grant.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate102.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((((((data.iss === undefined) && (missing0 = "iss")) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.jkt === undefined) && (missing0 = "jkt"))) || ((data.get === undefined) && (missing0 = "get"))) || ((data.put === undefined) && (missing0 = "put"))) || ((data.totalBytes === undefined) && (missing0 = "totalBytes"))) || ((data.iat === undefined) && (missing0 = "iat"))) || ((data.exp === undefined) && (missing0 = "exp"))){
validate102.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(func8.call(schema182.properties, key0))){
validate102.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.iss !== undefined){
let data0 = data.iss;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 64){
validate102.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate102.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data0)){
validate102.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate102.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data1 = data.job;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data1 === "string"){
if(func1(data1) > 26){
validate102.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data1)){
validate102.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate102.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data2 = data.attempt;
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate102.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 1000000 || isNaN(data2)){
validate102.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate102.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.jkt !== undefined){
let data3 = data.jkt;
const _errs11 = errors;
if(errors === _errs11){
if(typeof data3 === "string"){
if(func1(data3) > 43){
validate102.errors = [{instancePath:instancePath+"/jkt",schemaPath:"#/properties/jkt/maxLength",keyword:"maxLength",params:{limit: 43},message:"must NOT have more than 43 characters"}];
return false;
}
else {
if(!pattern58.test(data3)){
validate102.errors = [{instancePath:instancePath+"/jkt",schemaPath:"#/properties/jkt/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_-]{43}$"},message:"must match pattern \""+"^[A-Za-z0-9_-]{43}$"+"\""}];
return false;
}
}
}
else {
validate102.errors = [{instancePath:instancePath+"/jkt",schemaPath:"#/properties/jkt/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.get !== undefined){
let data4 = data.get;
const _errs13 = errors;
if(errors === _errs13){
if(Array.isArray(data4)){
if(data4.length > 16){
validate102.errors = [{instancePath:instancePath+"/get",schemaPath:"#/properties/get/maxItems",keyword:"maxItems",params:{limit: 16},message:"must NOT have more than 16 items"}];
return false;
}
else {
var valid4 = true;
const len0 = data4.length;
for(let i0=0; i0<len0; i0++){
const _errs15 = errors;
if(!(validate103(data4[i0], {instancePath:instancePath+"/get/" + i0,parentData:data4,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate103.errors : vErrors.concat(validate103.errors);
errors = vErrors.length;
}
var valid4 = _errs15 === errors;
if(!valid4){
break;
}
}
}
}
else {
validate102.errors = [{instancePath:instancePath+"/get",schemaPath:"#/properties/get/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs13 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.put !== undefined){
let data6 = data.put;
const _errs16 = errors;
if(errors === _errs16){
if(Array.isArray(data6)){
if(data6.length > 16){
validate102.errors = [{instancePath:instancePath+"/put",schemaPath:"#/properties/put/maxItems",keyword:"maxItems",params:{limit: 16},message:"must NOT have more than 16 items"}];
return false;
}
else {
var valid5 = true;
const len1 = data6.length;
for(let i1=0; i1<len1; i1++){
let data7 = data6[i1];
const _errs18 = errors;
if(errors === _errs18){
if(data7 && typeof data7 == "object" && !Array.isArray(data7)){
let missing1;
if(((data7.name === undefined) && (missing1 = "name")) || ((data7.maxBytes === undefined) && (missing1 = "maxBytes"))){
validate102.errors = [{instancePath:instancePath+"/put/" + i1,schemaPath:"#/properties/put/items/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"}];
return false;
}
else {
const _errs20 = errors;
for(const key1 in data7){
if(!(((key1 === "name") || (key1 === "maxBytes")) || (key1 === "sha256"))){
validate102.errors = [{instancePath:instancePath+"/put/" + i1,schemaPath:"#/properties/put/items/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs20 === errors){
if(data7.name !== undefined){
let data8 = data7.name;
const _errs21 = errors;
const _errs22 = errors;
if(errors === _errs22){
if(typeof data8 === "string"){
if(func1(data8) > 128){
validate102.errors = [{instancePath:instancePath+"/put/" + i1+"/name",schemaPath:"common.schema.json#/$defs/fileName/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data8) < 1){
validate102.errors = [{instancePath:instancePath+"/put/" + i1+"/name",schemaPath:"common.schema.json#/$defs/fileName/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern17.test(data8)){
validate102.errors = [{instancePath:instancePath+"/put/" + i1+"/name",schemaPath:"common.schema.json#/$defs/fileName/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"},message:"must match pattern \""+"^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"+"\""}];
return false;
}
}
}
}
else {
validate102.errors = [{instancePath:instancePath+"/put/" + i1+"/name",schemaPath:"common.schema.json#/$defs/fileName/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid6 = _errs21 === errors;
}
else {
var valid6 = true;
}
if(valid6){
if(data7.maxBytes !== undefined){
let data9 = data7.maxBytes;
const _errs24 = errors;
const _errs25 = errors;
if(!(((typeof data9 == "number") && (!(data9 % 1) && !isNaN(data9))) && (isFinite(data9)))){
validate102.errors = [{instancePath:instancePath+"/put/" + i1+"/maxBytes",schemaPath:"common.schema.json#/$defs/size/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs25){
if((typeof data9 == "number") && (isFinite(data9))){
if(data9 > 1099511627776 || isNaN(data9)){
validate102.errors = [{instancePath:instancePath+"/put/" + i1+"/maxBytes",schemaPath:"common.schema.json#/$defs/size/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1099511627776},message:"must be <= 1099511627776"}];
return false;
}
else {
if(data9 < 0 || isNaN(data9)){
validate102.errors = [{instancePath:instancePath+"/put/" + i1+"/maxBytes",schemaPath:"common.schema.json#/$defs/size/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid6 = _errs24 === errors;
}
else {
var valid6 = true;
}
if(valid6){
if(data7.sha256 !== undefined){
let data10 = data7.sha256;
const _errs27 = errors;
const _errs28 = errors;
if(errors === _errs28){
if(typeof data10 === "string"){
if(func1(data10) > 64){
validate102.errors = [{instancePath:instancePath+"/put/" + i1+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(!pattern18.test(data10)){
validate102.errors = [{instancePath:instancePath+"/put/" + i1+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{64}$"},message:"must match pattern \""+"^[0-9a-f]{64}$"+"\""}];
return false;
}
}
}
else {
validate102.errors = [{instancePath:instancePath+"/put/" + i1+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid6 = _errs27 === errors;
}
else {
var valid6 = true;
}
}
}
}
}
}
else {
validate102.errors = [{instancePath:instancePath+"/put/" + i1,schemaPath:"#/properties/put/items/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid5 = _errs18 === errors;
if(!valid5){
break;
}
}
}
}
else {
validate102.errors = [{instancePath:instancePath+"/put",schemaPath:"#/properties/put/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs16 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.totalBytes !== undefined){
let data11 = data.totalBytes;
const _errs30 = errors;
const _errs31 = errors;
if(!(((typeof data11 == "number") && (!(data11 % 1) && !isNaN(data11))) && (isFinite(data11)))){
validate102.errors = [{instancePath:instancePath+"/totalBytes",schemaPath:"common.schema.json#/$defs/size/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs31){
if((typeof data11 == "number") && (isFinite(data11))){
if(data11 > 1099511627776 || isNaN(data11)){
validate102.errors = [{instancePath:instancePath+"/totalBytes",schemaPath:"common.schema.json#/$defs/size/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1099511627776},message:"must be <= 1099511627776"}];
return false;
}
else {
if(data11 < 0 || isNaN(data11)){
validate102.errors = [{instancePath:instancePath+"/totalBytes",schemaPath:"common.schema.json#/$defs/size/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs30 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.iat !== undefined){
let data12 = data.iat;
const _errs33 = errors;
if(!(((typeof data12 == "number") && (!(data12 % 1) && !isNaN(data12))) && (isFinite(data12)))){
validate102.errors = [{instancePath:instancePath+"/iat",schemaPath:"#/properties/iat/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs33){
if((typeof data12 == "number") && (isFinite(data12))){
if(data12 > 9007199254740991 || isNaN(data12)){
validate102.errors = [{instancePath:instancePath+"/iat",schemaPath:"#/properties/iat/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data12 < 0 || isNaN(data12)){
validate102.errors = [{instancePath:instancePath+"/iat",schemaPath:"#/properties/iat/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs33 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.exp !== undefined){
let data13 = data.exp;
const _errs35 = errors;
if(!(((typeof data13 == "number") && (!(data13 % 1) && !isNaN(data13))) && (isFinite(data13)))){
validate102.errors = [{instancePath:instancePath+"/exp",schemaPath:"#/properties/exp/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs35){
if((typeof data13 == "number") && (isFinite(data13))){
if(data13 > 9007199254740991 || isNaN(data13)){
validate102.errors = [{instancePath:instancePath+"/exp",schemaPath:"#/properties/exp/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data13 < 0 || isNaN(data13)){
validate102.errors = [{instancePath:instancePath+"/exp",schemaPath:"#/properties/exp/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs35 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
}
}
else {
validate102.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate102.errors = vErrors;
return errors === 0;
}
validate102.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isIdentity = validate105;
const schema194 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"identity.schema.json","title":"Identity","description":"Claims of an identity.","type":"object","properties":{"iss":{"$ref":"common.schema.json#/$defs/name"},"sub":{"$ref":"common.schema.json#/$defs/agentId"},"owner":{"$ref":"common.schema.json#/$defs/name"},"site":{"$ref":"common.schema.json#/$defs/name"},"tier":{"enum":["untrusted","semi-trusted","trusted"]},"sig":{"$ref":"common.schema.json#/$defs/key"},"kex":{"$ref":"common.schema.json#/$defs/key"},"iat":{"type":"integer","minimum":0,"maximum":9007199254740991},"exp":{"type":"integer","minimum":0,"maximum":9007199254740991}},"required":["iss","sub","owner","site","tier","sig","kex","iat","exp"],"additionalProperties":false};

function validate105(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="identity.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate105.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((((((data.iss === undefined) && (missing0 = "iss")) || ((data.sub === undefined) && (missing0 = "sub"))) || ((data.owner === undefined) && (missing0 = "owner"))) || ((data.site === undefined) && (missing0 = "site"))) || ((data.tier === undefined) && (missing0 = "tier"))) || ((data.sig === undefined) && (missing0 = "sig"))) || ((data.kex === undefined) && (missing0 = "kex"))) || ((data.iat === undefined) && (missing0 = "iat"))) || ((data.exp === undefined) && (missing0 = "exp"))){
validate105.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(func8.call(schema194.properties, key0))){
validate105.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.iss !== undefined){
let data0 = data.iss;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 64){
validate105.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate105.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data0)){
validate105.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate105.errors = [{instancePath:instancePath+"/iss",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.sub !== undefined){
let data1 = data.sub;
const _errs5 = errors;
const _errs6 = errors;
if(errors === _errs6){
if(typeof data1 === "string"){
if(func1(data1) > 26){
validate105.errors = [{instancePath:instancePath+"/sub",schemaPath:"common.schema.json#/$defs/agentId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data1)){
validate105.errors = [{instancePath:instancePath+"/sub",schemaPath:"common.schema.json#/$defs/agentId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate105.errors = [{instancePath:instancePath+"/sub",schemaPath:"common.schema.json#/$defs/agentId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.owner !== undefined){
let data2 = data.owner;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate105.errors = [{instancePath:instancePath+"/owner",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data2) < 1){
validate105.errors = [{instancePath:instancePath+"/owner",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data2)){
validate105.errors = [{instancePath:instancePath+"/owner",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate105.errors = [{instancePath:instancePath+"/owner",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.site !== undefined){
let data3 = data.site;
const _errs11 = errors;
const _errs12 = errors;
if(errors === _errs12){
if(typeof data3 === "string"){
if(func1(data3) > 64){
validate105.errors = [{instancePath:instancePath+"/site",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data3) < 1){
validate105.errors = [{instancePath:instancePath+"/site",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data3)){
validate105.errors = [{instancePath:instancePath+"/site",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate105.errors = [{instancePath:instancePath+"/site",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.tier !== undefined){
let data4 = data.tier;
const _errs14 = errors;
if(!(((data4 === "untrusted") || (data4 === "semi-trusted")) || (data4 === "trusted"))){
validate105.errors = [{instancePath:instancePath+"/tier",schemaPath:"#/properties/tier/enum",keyword:"enum",params:{allowedValues: schema194.properties.tier.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid0 = _errs14 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.sig !== undefined){
let data5 = data.sig;
const _errs15 = errors;
const _errs16 = errors;
if(errors === _errs16){
if(typeof data5 === "string"){
if(func1(data5) > 43){
validate105.errors = [{instancePath:instancePath+"/sig",schemaPath:"common.schema.json#/$defs/key/maxLength",keyword:"maxLength",params:{limit: 43},message:"must NOT have more than 43 characters"}];
return false;
}
else {
if(!pattern58.test(data5)){
validate105.errors = [{instancePath:instancePath+"/sig",schemaPath:"common.schema.json#/$defs/key/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_-]{43}$"},message:"must match pattern \""+"^[A-Za-z0-9_-]{43}$"+"\""}];
return false;
}
}
}
else {
validate105.errors = [{instancePath:instancePath+"/sig",schemaPath:"common.schema.json#/$defs/key/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.kex !== undefined){
let data6 = data.kex;
const _errs18 = errors;
const _errs19 = errors;
if(errors === _errs19){
if(typeof data6 === "string"){
if(func1(data6) > 43){
validate105.errors = [{instancePath:instancePath+"/kex",schemaPath:"common.schema.json#/$defs/key/maxLength",keyword:"maxLength",params:{limit: 43},message:"must NOT have more than 43 characters"}];
return false;
}
else {
if(!pattern58.test(data6)){
validate105.errors = [{instancePath:instancePath+"/kex",schemaPath:"common.schema.json#/$defs/key/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_-]{43}$"},message:"must match pattern \""+"^[A-Za-z0-9_-]{43}$"+"\""}];
return false;
}
}
}
else {
validate105.errors = [{instancePath:instancePath+"/kex",schemaPath:"common.schema.json#/$defs/key/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs18 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.iat !== undefined){
let data7 = data.iat;
const _errs21 = errors;
if(!(((typeof data7 == "number") && (!(data7 % 1) && !isNaN(data7))) && (isFinite(data7)))){
validate105.errors = [{instancePath:instancePath+"/iat",schemaPath:"#/properties/iat/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs21){
if((typeof data7 == "number") && (isFinite(data7))){
if(data7 > 9007199254740991 || isNaN(data7)){
validate105.errors = [{instancePath:instancePath+"/iat",schemaPath:"#/properties/iat/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data7 < 0 || isNaN(data7)){
validate105.errors = [{instancePath:instancePath+"/iat",schemaPath:"#/properties/iat/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs21 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.exp !== undefined){
let data8 = data.exp;
const _errs23 = errors;
if(!(((typeof data8 == "number") && (!(data8 % 1) && !isNaN(data8))) && (isFinite(data8)))){
validate105.errors = [{instancePath:instancePath+"/exp",schemaPath:"#/properties/exp/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs23){
if((typeof data8 == "number") && (isFinite(data8))){
if(data8 > 9007199254740991 || isNaN(data8)){
validate105.errors = [{instancePath:instancePath+"/exp",schemaPath:"#/properties/exp/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data8 < 0 || isNaN(data8)){
validate105.errors = [{instancePath:instancePath+"/exp",schemaPath:"#/properties/exp/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs23 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
}
}
else {
validate105.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate105.errors = vErrors;
return errors === 0;
}
validate105.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isJob = validate106;
const schema201 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"job.schema.json","title":"Job","description":"Answer to a request: a lease.","type":"object","properties":{"kind":{"const":"job"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"lease":{"$ref":"common.schema.json#/$defs/lease"},"verdicts":{"$ref":"common.schema.json#/$defs/verdicts"}},"required":["kind","slot","counter","lease","verdicts"],"additionalProperties":false};
const schema204 = {"type":"object","description":"The right to run one attempt until a deadline.","properties":{"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"queue":{"$ref":"common.schema.json#/$defs/name"},"leaseSeconds":{"type":"number","minimum":0.001,"maximum":604800,"description":"The lease runs this long from each renewal."},"firstRenewSeconds":{"type":"number","minimum":0.001,"maximum":604800,"description":"The first renewal is due within this time."},"description":{"$ref":"common.schema.json#/$defs/description"},"capabilities":{"$ref":"common.schema.json#/$defs/capabilities"}},"required":["job","attempt","queue","leaseSeconds","firstRenewSeconds","description","capabilities"],"additionalProperties":false};

function validate107(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate107.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((((data.job === undefined) && (missing0 = "job")) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.queue === undefined) && (missing0 = "queue"))) || ((data.leaseSeconds === undefined) && (missing0 = "leaseSeconds"))) || ((data.firstRenewSeconds === undefined) && (missing0 = "firstRenewSeconds"))) || ((data.description === undefined) && (missing0 = "description"))) || ((data.capabilities === undefined) && (missing0 = "capabilities"))){
validate107.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((((key0 === "job") || (key0 === "attempt")) || (key0 === "queue")) || (key0 === "leaseSeconds")) || (key0 === "firstRenewSeconds")) || (key0 === "description")) || (key0 === "capabilities"))){
validate107.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.job !== undefined){
let data0 = data.job;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 26){
validate107.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data0)){
validate107.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate107.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data1 = data.attempt;
const _errs5 = errors;
const _errs6 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate107.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs6){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 1000000 || isNaN(data1)){
validate107.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate107.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.queue !== undefined){
let data2 = data.queue;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate107.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data2) < 1){
validate107.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data2)){
validate107.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate107.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.leaseSeconds !== undefined){
let data3 = data.leaseSeconds;
const _errs11 = errors;
if(errors === _errs11){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 604800 || isNaN(data3)){
validate107.errors = [{instancePath:instancePath+"/leaseSeconds",schemaPath:"#/properties/leaseSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 604800},message:"must be <= 604800"}];
return false;
}
else {
if(data3 < 0.001 || isNaN(data3)){
validate107.errors = [{instancePath:instancePath+"/leaseSeconds",schemaPath:"#/properties/leaseSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0.001},message:"must be >= 0.001"}];
return false;
}
}
}
else {
validate107.errors = [{instancePath:instancePath+"/leaseSeconds",schemaPath:"#/properties/leaseSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.firstRenewSeconds !== undefined){
let data4 = data.firstRenewSeconds;
const _errs13 = errors;
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 604800 || isNaN(data4)){
validate107.errors = [{instancePath:instancePath+"/firstRenewSeconds",schemaPath:"#/properties/firstRenewSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 604800},message:"must be <= 604800"}];
return false;
}
else {
if(data4 < 0.001 || isNaN(data4)){
validate107.errors = [{instancePath:instancePath+"/firstRenewSeconds",schemaPath:"#/properties/firstRenewSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0.001},message:"must be >= 0.001"}];
return false;
}
}
}
else {
validate107.errors = [{instancePath:instancePath+"/firstRenewSeconds",schemaPath:"#/properties/firstRenewSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid0 = _errs13 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.description !== undefined){
const _errs15 = errors;
if(!(validate27(data.description, {instancePath:instancePath+"/description",parentData:data,parentDataProperty:"description",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate27.errors : vErrors.concat(validate27.errors);
errors = vErrors.length;
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.capabilities !== undefined){
const _errs16 = errors;
if(!(validate42(data.capabilities, {instancePath:instancePath+"/capabilities",parentData:data,parentDataProperty:"capabilities",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate42.errors : vErrors.concat(validate42.errors);
errors = vErrors.length;
}
var valid0 = _errs16 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
else {
validate107.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate107.errors = vErrors;
return errors === 0;
}
validate107.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate111(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate111.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate111.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate96(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate96.errors : vErrors.concat(validate96.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate111.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate111.errors = vErrors;
return errors === 0;
}
validate111.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate106(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="job.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate106.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.lease === undefined) && (missing0 = "lease"))) || ((data.verdicts === undefined) && (missing0 = "verdicts"))){
validate106.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "lease")) || (key0 === "verdicts"))){
validate106.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("job" !== data.kind){
validate106.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "job"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate106.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate106.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate106.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate106.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate106.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate106.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.lease !== undefined){
const _errs9 = errors;
if(!(validate107(data.lease, {instancePath:instancePath+"/lease",parentData:data,parentDataProperty:"lease",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate107.errors : vErrors.concat(validate107.errors);
errors = vErrors.length;
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verdicts !== undefined){
const _errs10 = errors;
if(!(validate111(data.verdicts, {instancePath:instancePath+"/verdicts",parentData:data,parentDataProperty:"verdicts",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate111.errors : vErrors.concat(validate111.errors);
errors = vErrors.length;
}
var valid0 = _errs10 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate106.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate106.errors = vErrors;
return errors === 0;
}
validate106.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isNone = validate114;
const schema209 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"none.schema.json","title":"None","description":"Answer to a request: no job now.","type":"object","properties":{"kind":{"const":"none"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"none":{"$ref":"common.schema.json#/$defs/noWork"},"verdicts":{"$ref":"common.schema.json#/$defs/verdicts"}},"required":["kind","slot","counter","none","verdicts"],"additionalProperties":false};
const schema212 = {"type":"object","description":"Why there is no job now, and when to ask again.","properties":{"reason":{"enum":["no-work","no-match","cooling-down","too-many-attempts","draining","busy","storage-unavailable"]},"retryAfterSeconds":{"type":"number","minimum":0,"maximum":86400}},"required":["reason","retryAfterSeconds"],"additionalProperties":false};

function validate115(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate115.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate115.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate96(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate96.errors : vErrors.concat(validate96.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate115.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate115.errors = vErrors;
return errors === 0;
}
validate115.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate114(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="none.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate114.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.none === undefined) && (missing0 = "none"))) || ((data.verdicts === undefined) && (missing0 = "verdicts"))){
validate114.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "none")) || (key0 === "verdicts"))){
validate114.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("none" !== data.kind){
validate114.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "none"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate114.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate114.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate114.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate114.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate114.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate114.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.none !== undefined){
let data3 = data.none;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(data3 && typeof data3 == "object" && !Array.isArray(data3)){
let missing1;
if(((data3.reason === undefined) && (missing1 = "reason")) || ((data3.retryAfterSeconds === undefined) && (missing1 = "retryAfterSeconds"))){
validate114.errors = [{instancePath:instancePath+"/none",schemaPath:"common.schema.json#/$defs/noWork/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"}];
return false;
}
else {
const _errs12 = errors;
for(const key1 in data3){
if(!((key1 === "reason") || (key1 === "retryAfterSeconds"))){
validate114.errors = [{instancePath:instancePath+"/none",schemaPath:"common.schema.json#/$defs/noWork/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs12 === errors){
if(data3.reason !== undefined){
let data4 = data3.reason;
const _errs13 = errors;
if(!(((((((data4 === "no-work") || (data4 === "no-match")) || (data4 === "cooling-down")) || (data4 === "too-many-attempts")) || (data4 === "draining")) || (data4 === "busy")) || (data4 === "storage-unavailable"))){
validate114.errors = [{instancePath:instancePath+"/none/reason",schemaPath:"common.schema.json#/$defs/noWork/properties/reason/enum",keyword:"enum",params:{allowedValues: schema212.properties.reason.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid4 = _errs13 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data3.retryAfterSeconds !== undefined){
let data5 = data3.retryAfterSeconds;
const _errs14 = errors;
if(errors === _errs14){
if((typeof data5 == "number") && (isFinite(data5))){
if(data5 > 86400 || isNaN(data5)){
validate114.errors = [{instancePath:instancePath+"/none/retryAfterSeconds",schemaPath:"common.schema.json#/$defs/noWork/properties/retryAfterSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 86400},message:"must be <= 86400"}];
return false;
}
else {
if(data5 < 0 || isNaN(data5)){
validate114.errors = [{instancePath:instancePath+"/none/retryAfterSeconds",schemaPath:"common.schema.json#/$defs/noWork/properties/retryAfterSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate114.errors = [{instancePath:instancePath+"/none/retryAfterSeconds",schemaPath:"common.schema.json#/$defs/noWork/properties/retryAfterSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid4 = _errs14 === errors;
}
else {
var valid4 = true;
}
}
}
}
}
else {
validate114.errors = [{instancePath:instancePath+"/none",schemaPath:"common.schema.json#/$defs/noWork/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verdicts !== undefined){
const _errs16 = errors;
if(!(validate115(data.verdicts, {instancePath:instancePath+"/verdicts",parentData:data,parentDataProperty:"verdicts",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate115.errors : vErrors.concat(validate115.errors);
errors = vErrors.length;
}
var valid0 = _errs16 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate114.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate114.errors = vErrors;
return errors === 0;
}
validate114.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isNotice = validate118;
const schema214 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"notice.schema.json","title":"Notice","description":"Advisory push, no answer.","type":"object","properties":{"kind":{"const":"notice"},"command":{"enum":["renew-now","drain"]}},"required":["kind","command"],"additionalProperties":false};

function validate118(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="notice.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate118.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((data.kind === undefined) && (missing0 = "kind")) || ((data.command === undefined) && (missing0 = "command"))){
validate118.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((key0 === "kind") || (key0 === "command"))){
validate118.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("notice" !== data.kind){
validate118.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "notice"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.command !== undefined){
let data1 = data.command;
const _errs3 = errors;
if(!((data1 === "renew-now") || (data1 === "drain"))){
validate118.errors = [{instancePath:instancePath+"/command",schemaPath:"#/properties/command/enum",keyword:"enum",params:{allowedValues: schema214.properties.command.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
else {
validate118.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate118.errors = vErrors;
return errors === 0;
}
validate118.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isOutputs = validate119;
const schema215 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"outputs.schema.json","title":"Outputs","description":"Asks for upload capabilities of files that were not declared, or again after the first ones expired.","type":"object","properties":{"kind":{"const":"outputs"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"verb":{"enum":["get","put"]},"files":{"type":"array","items":{"$ref":"common.schema.json#/$defs/file"},"minItems":1,"maxItems":16,"description":"At most 16 at a time."}},"required":["kind","slot","counter","job","attempt","verb","files"],"additionalProperties":false};

function validate120(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate120.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((data.name === undefined) && (missing0 = "name")) || ((data.size === undefined) && (missing0 = "size"))) || ((data.sha256 === undefined) && (missing0 = "sha256"))){
validate120.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((key0 === "name") || (key0 === "size")) || (key0 === "sha256"))){
validate120.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.name !== undefined){
let data0 = data.name;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 128){
validate120.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate120.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern17.test(data0)){
validate120.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"},message:"must match pattern \""+"^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$"+"\""}];
return false;
}
}
}
}
else {
validate120.errors = [{instancePath:instancePath+"/name",schemaPath:"common.schema.json#/$defs/fileName/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.size !== undefined){
let data1 = data.size;
const _errs5 = errors;
const _errs6 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate120.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs6){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 1099511627776 || isNaN(data1)){
validate120.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1099511627776},message:"must be <= 1099511627776"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate120.errors = [{instancePath:instancePath+"/size",schemaPath:"common.schema.json#/$defs/size/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.sha256 !== undefined){
let data2 = data.sha256;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate120.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(!pattern18.test(data2)){
validate120.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{64}$"},message:"must match pattern \""+"^[0-9a-f]{64}$"+"\""}];
return false;
}
}
}
else {
validate120.errors = [{instancePath:instancePath+"/sha256",schemaPath:"common.schema.json#/$defs/sha256/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
else {
validate120.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate120.errors = vErrors;
return errors === 0;
}
validate120.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate119(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="outputs.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate119.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.verb === undefined) && (missing0 = "verb"))) || ((data.files === undefined) && (missing0 = "files"))){
validate119.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "verb")) || (key0 === "files"))){
validate119.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("outputs" !== data.kind){
validate119.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "outputs"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate119.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate119.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate119.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate119.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate119.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate119.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data3 = data.job;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate119.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate119.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate119.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data4 = data.attempt;
const _errs12 = errors;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate119.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000000 || isNaN(data4)){
validate119.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate119.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verb !== undefined){
let data5 = data.verb;
const _errs15 = errors;
if(!((data5 === "get") || (data5 === "put"))){
validate119.errors = [{instancePath:instancePath+"/verb",schemaPath:"#/properties/verb/enum",keyword:"enum",params:{allowedValues: schema215.properties.verb.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.files !== undefined){
let data6 = data.files;
const _errs16 = errors;
if(errors === _errs16){
if(Array.isArray(data6)){
if(data6.length > 16){
validate119.errors = [{instancePath:instancePath+"/files",schemaPath:"#/properties/files/maxItems",keyword:"maxItems",params:{limit: 16},message:"must NOT have more than 16 items"}];
return false;
}
else {
if(data6.length < 1){
validate119.errors = [{instancePath:instancePath+"/files",schemaPath:"#/properties/files/minItems",keyword:"minItems",params:{limit: 1},message:"must NOT have fewer than 1 items"}];
return false;
}
else {
var valid5 = true;
const len0 = data6.length;
for(let i0=0; i0<len0; i0++){
const _errs18 = errors;
if(!(validate120(data6[i0], {instancePath:instancePath+"/files/" + i0,parentData:data6,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate120.errors : vErrors.concat(validate120.errors);
errors = vErrors.length;
}
var valid5 = _errs18 === errors;
if(!valid5){
break;
}
}
}
}
}
else {
validate119.errors = [{instancePath:instancePath+"/files",schemaPath:"#/properties/files/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs16 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
else {
validate119.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate119.errors = vErrors;
return errors === 0;
}
validate119.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isParted = validate122;
const schema224 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"parted.schema.json","title":"Parted","description":"Answer to parts: the sub-units taken; none where some were finished.","type":"object","properties":{"kind":{"const":"parted"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"parts":{"type":"array","items":{"$ref":"common.schema.json#/$defs/part"},"maxItems":64}},"required":["kind","slot","counter","job","attempt","parts"],"additionalProperties":false};

function validate123(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate123.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((data.id === undefined) && (missing0 = "id")) || ((data.body === undefined) && (missing0 = "body"))){
validate123.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((key0 === "id") || (key0 === "body"))){
validate123.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.id !== undefined){
let data0 = data.id;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 128){
validate123.errors = [{instancePath:instancePath+"/id",schemaPath:"common.schema.json#/$defs/partId/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data0) < 1){
validate123.errors = [{instancePath:instancePath+"/id",schemaPath:"common.schema.json#/$defs/partId/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern20.test(data0)){
validate123.errors = [{instancePath:instancePath+"/id",schemaPath:"common.schema.json#/$defs/partId/pattern",keyword:"pattern",params:{pattern: "^[!-~]+$"},message:"must match pattern \""+"^[!-~]+$"+"\""}];
return false;
}
}
}
}
else {
validate123.errors = [{instancePath:instancePath+"/id",schemaPath:"common.schema.json#/$defs/partId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.body !== undefined){
let data1 = data.body;
const _errs5 = errors;
if(errors === _errs5){
if(typeof data1 === "string"){
if(func1(data1) > 1024){
validate123.errors = [{instancePath:instancePath+"/body",schemaPath:"#/properties/body/maxLength",keyword:"maxLength",params:{limit: 1024},message:"must NOT have more than 1024 characters"}];
return false;
}
}
else {
validate123.errors = [{instancePath:instancePath+"/body",schemaPath:"#/properties/body/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
else {
validate123.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate123.errors = vErrors;
return errors === 0;
}
validate123.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate122(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="parted.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate122.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.parts === undefined) && (missing0 = "parts"))){
validate122.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "parts"))){
validate122.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("parted" !== data.kind){
validate122.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "parted"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate122.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate122.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate122.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate122.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate122.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate122.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data3 = data.job;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate122.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate122.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate122.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data4 = data.attempt;
const _errs12 = errors;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate122.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000000 || isNaN(data4)){
validate122.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate122.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.parts !== undefined){
let data5 = data.parts;
const _errs15 = errors;
if(errors === _errs15){
if(Array.isArray(data5)){
if(data5.length > 64){
validate122.errors = [{instancePath:instancePath+"/parts",schemaPath:"#/properties/parts/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid5 = true;
const len0 = data5.length;
for(let i0=0; i0<len0; i0++){
const _errs17 = errors;
if(!(validate123(data5[i0], {instancePath:instancePath+"/parts/" + i0,parentData:data5,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate123.errors : vErrors.concat(validate123.errors);
errors = vErrors.length;
}
var valid5 = _errs17 === errors;
if(!valid5){
break;
}
}
}
}
else {
validate122.errors = [{instancePath:instancePath+"/parts",schemaPath:"#/properties/parts/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
else {
validate122.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate122.errors = vErrors;
return errors === 0;
}
validate122.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isParts = validate125;
const schema231 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"parts.schema.json","title":"Parts","description":"Takes or finishes sub-units under the attempt's fence.","type":"object","properties":{"kind":{"const":"parts"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"verb":{"$ref":"common.schema.json#/$defs/partsVerb"},"parts":{"type":"array","items":{"$ref":"common.schema.json#/$defs/partId"},"maxItems":64}},"required":["kind","slot","counter","job","attempt","verb","parts"],"additionalProperties":false};

function validate125(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="parts.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate125.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.verb === undefined) && (missing0 = "verb"))) || ((data.parts === undefined) && (missing0 = "parts"))){
validate125.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "verb")) || (key0 === "parts"))){
validate125.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("parts" !== data.kind){
validate125.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "parts"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate125.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate125.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate125.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate125.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate125.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate125.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data3 = data.job;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate125.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate125.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate125.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data4 = data.attempt;
const _errs12 = errors;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate125.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000000 || isNaN(data4)){
validate125.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate125.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verb !== undefined){
let data5 = data.verb;
const _errs15 = errors;
if(!((data5 === "take") || (data5 === "finish"))){
validate125.errors = [{instancePath:instancePath+"/verb",schemaPath:"common.schema.json#/$defs/partsVerb/enum",keyword:"enum",params:{allowedValues: schema119.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.parts !== undefined){
let data6 = data.parts;
const _errs17 = errors;
if(errors === _errs17){
if(Array.isArray(data6)){
if(data6.length > 64){
validate125.errors = [{instancePath:instancePath+"/parts",schemaPath:"#/properties/parts/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid6 = true;
const len0 = data6.length;
for(let i0=0; i0<len0; i0++){
let data7 = data6[i0];
const _errs19 = errors;
const _errs20 = errors;
if(errors === _errs20){
if(typeof data7 === "string"){
if(func1(data7) > 128){
validate125.errors = [{instancePath:instancePath+"/parts/" + i0,schemaPath:"common.schema.json#/$defs/partId/maxLength",keyword:"maxLength",params:{limit: 128},message:"must NOT have more than 128 characters"}];
return false;
}
else {
if(func1(data7) < 1){
validate125.errors = [{instancePath:instancePath+"/parts/" + i0,schemaPath:"common.schema.json#/$defs/partId/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern20.test(data7)){
validate125.errors = [{instancePath:instancePath+"/parts/" + i0,schemaPath:"common.schema.json#/$defs/partId/pattern",keyword:"pattern",params:{pattern: "^[!-~]+$"},message:"must match pattern \""+"^[!-~]+$"+"\""}];
return false;
}
}
}
}
else {
validate125.errors = [{instancePath:instancePath+"/parts/" + i0,schemaPath:"common.schema.json#/$defs/partId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid6 = _errs19 === errors;
if(!valid6){
break;
}
}
}
}
else {
validate125.errors = [{instancePath:instancePath+"/parts",schemaPath:"#/properties/parts/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs17 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
else {
validate125.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate125.errors = vErrors;
return errors === 0;
}
validate125.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isRelease = validate126;
const schema238 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"release.schema.json","title":"Release","description":"Gives an attempt back.","type":"object","properties":{"kind":{"const":"release"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"reason":{"enum":["drain","lost","unable","shutdown"]}},"required":["kind","slot","counter","job","attempt","reason"],"additionalProperties":false};

function validate126(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="release.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate126.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.reason === undefined) && (missing0 = "reason"))){
validate126.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "reason"))){
validate126.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("release" !== data.kind){
validate126.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "release"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate126.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate126.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate126.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate126.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate126.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate126.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data3 = data.job;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate126.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate126.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate126.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data4 = data.attempt;
const _errs12 = errors;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate126.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000000 || isNaN(data4)){
validate126.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate126.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.reason !== undefined){
let data5 = data.reason;
const _errs15 = errors;
if(!((((data5 === "drain") || (data5 === "lost")) || (data5 === "unable")) || (data5 === "shutdown"))){
validate126.errors = [{instancePath:instancePath+"/reason",schemaPath:"#/properties/reason/enum",keyword:"enum",params:{allowedValues: schema238.properties.reason.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
else {
validate126.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate126.errors = vErrors;
return errors === 0;
}
validate126.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isReleased = validate127;
const schema243 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"released.schema.json","title":"Released","description":"Answer to a release.","type":"object","properties":{"kind":{"const":"released"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"verdicts":{"$ref":"common.schema.json#/$defs/verdicts"}},"required":["kind","slot","counter","job","attempt","verdicts"],"additionalProperties":false};

function validate128(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate128.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate128.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate96(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate96.errors : vErrors.concat(validate96.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate128.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate128.errors = vErrors;
return errors === 0;
}
validate128.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate127(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="released.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate127.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.verdicts === undefined) && (missing0 = "verdicts"))){
validate127.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "job")) || (key0 === "attempt")) || (key0 === "verdicts"))){
validate127.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("released" !== data.kind){
validate127.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "released"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate127.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate127.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate127.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate127.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate127.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate127.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data3 = data.job;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate127.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate127.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate127.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data4 = data.attempt;
const _errs12 = errors;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate127.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000000 || isNaN(data4)){
validate127.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate127.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verdicts !== undefined){
const _errs15 = errors;
if(!(validate128(data.verdicts, {instancePath:instancePath+"/verdicts",parentData:data,parentDataProperty:"verdicts",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate128.errors : vErrors.concat(validate128.errors);
errors = vErrors.length;
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
else {
validate127.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate127.errors = vErrors;
return errors === 0;
}
validate127.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isRenew = validate131;
const schema249 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"renew.schema.json","title":"Renew","description":"Keeps leases alive.","type":"object","properties":{"kind":{"const":"renew"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"leases":{"type":"array","items":{"type":"object","properties":{"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"progress":{"type":"number","minimum":0,"maximum":1},"usage":{"$ref":"common.schema.json#/$defs/usage"},"logTail":{"type":"string","maxLength":256}},"required":["job","attempt","progress"],"additionalProperties":false},"maxItems":64},"seen":{"$ref":"common.schema.json#/$defs/seen"}},"required":["kind","slot","counter","leases","seen"],"additionalProperties":false};
const schema255 = {"type":"array","items":{"$ref":"common.schema.json#/$defs/attempt"},"maxItems":64,"description":"Attempts whose verdict the agent has taken note of."};
const schema256 = {"type":"object","description":"One attempt.","properties":{"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"}},"required":["job","attempt"],"additionalProperties":false};

function validate133(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate133.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((data.job === undefined) && (missing0 = "job")) || ((data.attempt === undefined) && (missing0 = "attempt"))){
validate133.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((key0 === "job") || (key0 === "attempt"))){
validate133.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.job !== undefined){
let data0 = data.job;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 26){
validate133.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data0)){
validate133.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate133.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data1 = data.attempt;
const _errs5 = errors;
const _errs6 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate133.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs6){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 1000000 || isNaN(data1)){
validate133.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate133.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
else {
validate133.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate133.errors = vErrors;
return errors === 0;
}
validate133.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate132(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate132.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate132.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate133(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate133.errors : vErrors.concat(validate133.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate132.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate132.errors = vErrors;
return errors === 0;
}
validate132.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate131(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="renew.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate131.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.leases === undefined) && (missing0 = "leases"))) || ((data.seen === undefined) && (missing0 = "seen"))){
validate131.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "leases")) || (key0 === "seen"))){
validate131.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("renew" !== data.kind){
validate131.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "renew"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate131.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate131.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate131.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate131.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate131.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate131.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.leases !== undefined){
let data3 = data.leases;
const _errs9 = errors;
if(errors === _errs9){
if(Array.isArray(data3)){
if(data3.length > 64){
validate131.errors = [{instancePath:instancePath+"/leases",schemaPath:"#/properties/leases/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid3 = true;
const len0 = data3.length;
for(let i0=0; i0<len0; i0++){
let data4 = data3[i0];
const _errs11 = errors;
if(errors === _errs11){
if(data4 && typeof data4 == "object" && !Array.isArray(data4)){
let missing1;
if((((data4.job === undefined) && (missing1 = "job")) || ((data4.attempt === undefined) && (missing1 = "attempt"))) || ((data4.progress === undefined) && (missing1 = "progress"))){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0,schemaPath:"#/properties/leases/items/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"}];
return false;
}
else {
const _errs13 = errors;
for(const key1 in data4){
if(!(((((key1 === "job") || (key1 === "attempt")) || (key1 === "progress")) || (key1 === "usage")) || (key1 === "logTail"))){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0,schemaPath:"#/properties/leases/items/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs13 === errors){
if(data4.job !== undefined){
let data5 = data4.job;
const _errs14 = errors;
const _errs15 = errors;
if(errors === _errs15){
if(typeof data5 === "string"){
if(func1(data5) > 26){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data5)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid4 = _errs14 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data4.attempt !== undefined){
let data6 = data4.attempt;
const _errs17 = errors;
const _errs18 = errors;
if(!(((typeof data6 == "number") && (!(data6 % 1) && !isNaN(data6))) && (isFinite(data6)))){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs18){
if((typeof data6 == "number") && (isFinite(data6))){
if(data6 > 1000000 || isNaN(data6)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data6 < 1 || isNaN(data6)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid4 = _errs17 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data4.progress !== undefined){
let data7 = data4.progress;
const _errs20 = errors;
if(errors === _errs20){
if((typeof data7 == "number") && (isFinite(data7))){
if(data7 > 1 || isNaN(data7)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/progress",schemaPath:"#/properties/leases/items/properties/progress/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1},message:"must be <= 1"}];
return false;
}
else {
if(data7 < 0 || isNaN(data7)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/progress",schemaPath:"#/properties/leases/items/properties/progress/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/progress",schemaPath:"#/properties/leases/items/properties/progress/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid4 = _errs20 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data4.usage !== undefined){
let data8 = data4.usage;
const _errs22 = errors;
const _errs23 = errors;
if(errors === _errs23){
if(data8 && typeof data8 == "object" && !Array.isArray(data8)){
let missing2;
if(((((data8.wallSeconds === undefined) && (missing2 = "wallSeconds")) || ((data8.cpuSeconds === undefined) && (missing2 = "cpuSeconds"))) || ((data8.memoryMiB === undefined) && (missing2 = "memoryMiB"))) || ((data8.diskMiB === undefined) && (missing2 = "diskMiB"))){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage",schemaPath:"common.schema.json#/$defs/usage/required",keyword:"required",params:{missingProperty: missing2},message:"must have required property '"+missing2+"'"}];
return false;
}
else {
const _errs25 = errors;
for(const key2 in data8){
if(!((((key2 === "wallSeconds") || (key2 === "cpuSeconds")) || (key2 === "memoryMiB")) || (key2 === "diskMiB"))){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage",schemaPath:"common.schema.json#/$defs/usage/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key2},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs25 === errors){
if(data8.wallSeconds !== undefined){
let data9 = data8.wallSeconds;
const _errs26 = errors;
if(errors === _errs26){
if((typeof data9 == "number") && (isFinite(data9))){
if(data9 > 31536000 || isNaN(data9)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/wallSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/wallSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 31536000},message:"must be <= 31536000"}];
return false;
}
else {
if(data9 < 0 || isNaN(data9)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/wallSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/wallSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/wallSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/wallSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid8 = _errs26 === errors;
}
else {
var valid8 = true;
}
if(valid8){
if(data8.cpuSeconds !== undefined){
let data10 = data8.cpuSeconds;
const _errs28 = errors;
if(errors === _errs28){
if((typeof data10 == "number") && (isFinite(data10))){
if(data10 > 3153600000 || isNaN(data10)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/cpuSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/cpuSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 3153600000},message:"must be <= 3153600000"}];
return false;
}
else {
if(data10 < 0 || isNaN(data10)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/cpuSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/cpuSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/cpuSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/cpuSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid8 = _errs28 === errors;
}
else {
var valid8 = true;
}
if(valid8){
if(data8.memoryMiB !== undefined){
let data11 = data8.memoryMiB;
const _errs30 = errors;
if(errors === _errs30){
if((typeof data11 == "number") && (isFinite(data11))){
if(data11 > 67108864 || isNaN(data11)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/memoryMiB",schemaPath:"common.schema.json#/$defs/usage/properties/memoryMiB/maximum",keyword:"maximum",params:{comparison: "<=", limit: 67108864},message:"must be <= 67108864"}];
return false;
}
else {
if(data11 < 0 || isNaN(data11)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/memoryMiB",schemaPath:"common.schema.json#/$defs/usage/properties/memoryMiB/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/memoryMiB",schemaPath:"common.schema.json#/$defs/usage/properties/memoryMiB/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid8 = _errs30 === errors;
}
else {
var valid8 = true;
}
if(valid8){
if(data8.diskMiB !== undefined){
let data12 = data8.diskMiB;
const _errs32 = errors;
if(errors === _errs32){
if((typeof data12 == "number") && (isFinite(data12))){
if(data12 > 1073741824 || isNaN(data12)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/diskMiB",schemaPath:"common.schema.json#/$defs/usage/properties/diskMiB/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1073741824},message:"must be <= 1073741824"}];
return false;
}
else {
if(data12 < 0 || isNaN(data12)){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/diskMiB",schemaPath:"common.schema.json#/$defs/usage/properties/diskMiB/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage/diskMiB",schemaPath:"common.schema.json#/$defs/usage/properties/diskMiB/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid8 = _errs32 === errors;
}
else {
var valid8 = true;
}
}
}
}
}
}
}
else {
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/usage",schemaPath:"common.schema.json#/$defs/usage/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid4 = _errs22 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data4.logTail !== undefined){
let data13 = data4.logTail;
const _errs34 = errors;
if(errors === _errs34){
if(typeof data13 === "string"){
if(func1(data13) > 256){
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/logTail",schemaPath:"#/properties/leases/items/properties/logTail/maxLength",keyword:"maxLength",params:{limit: 256},message:"must NOT have more than 256 characters"}];
return false;
}
}
else {
validate131.errors = [{instancePath:instancePath+"/leases/" + i0+"/logTail",schemaPath:"#/properties/leases/items/properties/logTail/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid4 = _errs34 === errors;
}
else {
var valid4 = true;
}
}
}
}
}
}
}
}
else {
validate131.errors = [{instancePath:instancePath+"/leases/" + i0,schemaPath:"#/properties/leases/items/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid3 = _errs11 === errors;
if(!valid3){
break;
}
}
}
}
else {
validate131.errors = [{instancePath:instancePath+"/leases",schemaPath:"#/properties/leases/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.seen !== undefined){
const _errs36 = errors;
if(!(validate132(data.seen, {instancePath:instancePath+"/seen",parentData:data,parentDataProperty:"seen",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate132.errors : vErrors.concat(validate132.errors);
errors = vErrors.length;
}
var valid0 = _errs36 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate131.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate131.errors = vErrors;
return errors === 0;
}
validate131.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isRenewed = validate136;
const schema259 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"renewed.schema.json","title":"Renewed","description":"Answer to a renewal: how long each lease runs from now.","type":"object","properties":{"kind":{"const":"renewed"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"leases":{"type":"array","items":{"type":"object","properties":{"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"order":{"enum":["continue","cancel","drain"]},"leaseSeconds":{"type":"number","minimum":0,"maximum":604800}},"required":["job","attempt","order","leaseSeconds"],"additionalProperties":false},"maxItems":64},"verdicts":{"$ref":"common.schema.json#/$defs/verdicts"}},"required":["kind","slot","counter","leases","verdicts"],"additionalProperties":false};

function validate137(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate137.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate137.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate96(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate96.errors : vErrors.concat(validate96.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate137.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate137.errors = vErrors;
return errors === 0;
}
validate137.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate136(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="renewed.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate136.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.leases === undefined) && (missing0 = "leases"))) || ((data.verdicts === undefined) && (missing0 = "verdicts"))){
validate136.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "leases")) || (key0 === "verdicts"))){
validate136.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("renewed" !== data.kind){
validate136.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "renewed"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate136.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate136.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate136.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate136.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate136.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate136.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.leases !== undefined){
let data3 = data.leases;
const _errs9 = errors;
if(errors === _errs9){
if(Array.isArray(data3)){
if(data3.length > 64){
validate136.errors = [{instancePath:instancePath+"/leases",schemaPath:"#/properties/leases/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid3 = true;
const len0 = data3.length;
for(let i0=0; i0<len0; i0++){
let data4 = data3[i0];
const _errs11 = errors;
if(errors === _errs11){
if(data4 && typeof data4 == "object" && !Array.isArray(data4)){
let missing1;
if(((((data4.job === undefined) && (missing1 = "job")) || ((data4.attempt === undefined) && (missing1 = "attempt"))) || ((data4.order === undefined) && (missing1 = "order"))) || ((data4.leaseSeconds === undefined) && (missing1 = "leaseSeconds"))){
validate136.errors = [{instancePath:instancePath+"/leases/" + i0,schemaPath:"#/properties/leases/items/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"}];
return false;
}
else {
const _errs13 = errors;
for(const key1 in data4){
if(!((((key1 === "job") || (key1 === "attempt")) || (key1 === "order")) || (key1 === "leaseSeconds"))){
validate136.errors = [{instancePath:instancePath+"/leases/" + i0,schemaPath:"#/properties/leases/items/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs13 === errors){
if(data4.job !== undefined){
let data5 = data4.job;
const _errs14 = errors;
const _errs15 = errors;
if(errors === _errs15){
if(typeof data5 === "string"){
if(func1(data5) > 26){
validate136.errors = [{instancePath:instancePath+"/leases/" + i0+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data5)){
validate136.errors = [{instancePath:instancePath+"/leases/" + i0+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate136.errors = [{instancePath:instancePath+"/leases/" + i0+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid4 = _errs14 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data4.attempt !== undefined){
let data6 = data4.attempt;
const _errs17 = errors;
const _errs18 = errors;
if(!(((typeof data6 == "number") && (!(data6 % 1) && !isNaN(data6))) && (isFinite(data6)))){
validate136.errors = [{instancePath:instancePath+"/leases/" + i0+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs18){
if((typeof data6 == "number") && (isFinite(data6))){
if(data6 > 1000000 || isNaN(data6)){
validate136.errors = [{instancePath:instancePath+"/leases/" + i0+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data6 < 1 || isNaN(data6)){
validate136.errors = [{instancePath:instancePath+"/leases/" + i0+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid4 = _errs17 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data4.order !== undefined){
let data7 = data4.order;
const _errs20 = errors;
if(!(((data7 === "continue") || (data7 === "cancel")) || (data7 === "drain"))){
validate136.errors = [{instancePath:instancePath+"/leases/" + i0+"/order",schemaPath:"#/properties/leases/items/properties/order/enum",keyword:"enum",params:{allowedValues: schema259.properties.leases.items.properties.order.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid4 = _errs20 === errors;
}
else {
var valid4 = true;
}
if(valid4){
if(data4.leaseSeconds !== undefined){
let data8 = data4.leaseSeconds;
const _errs21 = errors;
if(errors === _errs21){
if((typeof data8 == "number") && (isFinite(data8))){
if(data8 > 604800 || isNaN(data8)){
validate136.errors = [{instancePath:instancePath+"/leases/" + i0+"/leaseSeconds",schemaPath:"#/properties/leases/items/properties/leaseSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 604800},message:"must be <= 604800"}];
return false;
}
else {
if(data8 < 0 || isNaN(data8)){
validate136.errors = [{instancePath:instancePath+"/leases/" + i0+"/leaseSeconds",schemaPath:"#/properties/leases/items/properties/leaseSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate136.errors = [{instancePath:instancePath+"/leases/" + i0+"/leaseSeconds",schemaPath:"#/properties/leases/items/properties/leaseSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid4 = _errs21 === errors;
}
else {
var valid4 = true;
}
}
}
}
}
}
}
else {
validate136.errors = [{instancePath:instancePath+"/leases/" + i0,schemaPath:"#/properties/leases/items/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid3 = _errs11 === errors;
if(!valid3){
break;
}
}
}
}
else {
validate136.errors = [{instancePath:instancePath+"/leases",schemaPath:"#/properties/leases/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verdicts !== undefined){
const _errs23 = errors;
if(!(validate137(data.verdicts, {instancePath:instancePath+"/verdicts",parentData:data,parentDataProperty:"verdicts",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate137.errors : vErrors.concat(validate137.errors);
errors = vErrors.length;
}
var valid0 = _errs23 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate136.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate136.errors = vErrors;
return errors === 0;
}
validate136.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isReport = validate140;
const schema265 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"report.schema.json","title":"Report","description":"Says how the attempt ended, and may ask for the next job in the same message.","type":"object","properties":{"kind":{"const":"report"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"exit":{"$ref":"common.schema.json#/$defs/exit"},"manifest":{"$ref":"common.schema.json#/$defs/manifest"},"usage":{"$ref":"common.schema.json#/$defs/usage"},"logTail":{"$ref":"common.schema.json#/$defs/logTail"},"signature":{"$ref":"common.schema.json#/$defs/signature"},"next":{"$ref":"common.schema.json#/$defs/hostAd"},"seen":{"$ref":"common.schema.json#/$defs/seen"}},"required":["kind","slot","counter","job","attempt","exit","manifest","usage","logTail","signature","seen"],"additionalProperties":false};
const schema274 = {"type":"string","maxLength":86,"pattern":"^[A-Za-z0-9_-]{86}$","description":"A 64-byte signature in base64url."};
const schema275 = {"type":"object","description":"What the machine offers, literals only.","maxProperties":64,"propertyNames":{"type":"string","pattern":"^[A-Za-z_][A-Za-z0-9_]{0,63}$","maxLength":64},"additionalProperties":{"oneOf":[{"type":"string","maxLength":256},{"type":"number","minimum":-9007199254740991,"maximum":9007199254740991},{"type":"boolean"}]}};
const pattern91 = new RegExp("^[A-Za-z0-9_-]{86}$", "u");
const pattern92 = new RegExp("^[A-Za-z_][A-Za-z0-9_]{0,63}$", "u");

function validate141(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate141.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate141.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate75(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate75.errors : vErrors.concat(validate75.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate141.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate141.errors = vErrors;
return errors === 0;
}
validate141.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate144(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate144.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate144.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate133(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate133.errors : vErrors.concat(validate133.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate144.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate144.errors = vErrors;
return errors === 0;
}
validate144.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate140(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="report.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate140.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.exit === undefined) && (missing0 = "exit"))) || ((data.manifest === undefined) && (missing0 = "manifest"))) || ((data.usage === undefined) && (missing0 = "usage"))) || ((data.logTail === undefined) && (missing0 = "logTail"))) || ((data.signature === undefined) && (missing0 = "signature"))) || ((data.seen === undefined) && (missing0 = "seen"))){
validate140.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(func8.call(schema265.properties, key0))){
validate140.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("report" !== data.kind){
validate140.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "report"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate140.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate140.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate140.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate140.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate140.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate140.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data3 = data.job;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate140.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate140.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate140.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data4 = data.attempt;
const _errs12 = errors;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate140.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000000 || isNaN(data4)){
validate140.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate140.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.exit !== undefined){
let data5 = data.exit;
const _errs15 = errors;
const _errs17 = errors;
let valid6 = false;
let passing0 = null;
const _errs18 = errors;
if(errors === _errs18){
if(data5 && typeof data5 == "object" && !Array.isArray(data5)){
let missing1;
if(((data5.kind === undefined) && (missing1 = "kind")) || ((data5.code === undefined) && (missing1 = "code"))){
const err0 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
else {
const _errs20 = errors;
for(const key1 in data5){
if(!((key1 === "kind") || (key1 === "code"))){
const err1 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
break;
}
}
if(_errs20 === errors){
if(data5.kind !== undefined){
const _errs21 = errors;
if("exited" !== data5.kind){
const err2 = {instancePath:instancePath+"/exit/kind",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/properties/kind/const",keyword:"const",params:{allowedValue: "exited"},message:"must be equal to constant"};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
var valid7 = _errs21 === errors;
}
else {
var valid7 = true;
}
if(valid7){
if(data5.code !== undefined){
let data7 = data5.code;
const _errs22 = errors;
if(!(((typeof data7 == "number") && (!(data7 % 1) && !isNaN(data7))) && (isFinite(data7)))){
const err3 = {instancePath:instancePath+"/exit/code",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/properties/code/type",keyword:"type",params:{type: "integer"},message:"must be integer"};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
}
if(errors === _errs22){
if((typeof data7 == "number") && (isFinite(data7))){
if(data7 > 255 || isNaN(data7)){
const err4 = {instancePath:instancePath+"/exit/code",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/properties/code/maximum",keyword:"maximum",params:{comparison: "<=", limit: 255},message:"must be <= 255"};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
}
else {
if(data7 < 0 || isNaN(data7)){
const err5 = {instancePath:instancePath+"/exit/code",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/properties/code/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"};
if(vErrors === null){
vErrors = [err5];
}
else {
vErrors.push(err5);
}
errors++;
}
}
}
}
var valid7 = _errs22 === errors;
}
else {
var valid7 = true;
}
}
}
}
}
else {
const err6 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/0/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err6];
}
else {
vErrors.push(err6);
}
errors++;
}
}
var _valid0 = _errs18 === errors;
if(_valid0){
valid6 = true;
passing0 = 0;
var props0 = true;
}
const _errs24 = errors;
if(errors === _errs24){
if(data5 && typeof data5 == "object" && !Array.isArray(data5)){
let missing2;
if(((data5.kind === undefined) && (missing2 = "kind")) || ((data5.signal === undefined) && (missing2 = "signal"))){
const err7 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/required",keyword:"required",params:{missingProperty: missing2},message:"must have required property '"+missing2+"'"};
if(vErrors === null){
vErrors = [err7];
}
else {
vErrors.push(err7);
}
errors++;
}
else {
const _errs26 = errors;
for(const key2 in data5){
if(!((key2 === "kind") || (key2 === "signal"))){
const err8 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key2},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err8];
}
else {
vErrors.push(err8);
}
errors++;
break;
}
}
if(_errs26 === errors){
if(data5.kind !== undefined){
const _errs27 = errors;
if("signalled" !== data5.kind){
const err9 = {instancePath:instancePath+"/exit/kind",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/properties/kind/const",keyword:"const",params:{allowedValue: "signalled"},message:"must be equal to constant"};
if(vErrors === null){
vErrors = [err9];
}
else {
vErrors.push(err9);
}
errors++;
}
var valid8 = _errs27 === errors;
}
else {
var valid8 = true;
}
if(valid8){
if(data5.signal !== undefined){
let data9 = data5.signal;
const _errs28 = errors;
if(errors === _errs28){
if(typeof data9 === "string"){
if(func1(data9) > 16){
const err10 = {instancePath:instancePath+"/exit/signal",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/properties/signal/maxLength",keyword:"maxLength",params:{limit: 16},message:"must NOT have more than 16 characters"};
if(vErrors === null){
vErrors = [err10];
}
else {
vErrors.push(err10);
}
errors++;
}
else {
if(!pattern36.test(data9)){
const err11 = {instancePath:instancePath+"/exit/signal",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/properties/signal/pattern",keyword:"pattern",params:{pattern: "^SIG[A-Z0-9+-]+$"},message:"must match pattern \""+"^SIG[A-Z0-9+-]+$"+"\""};
if(vErrors === null){
vErrors = [err11];
}
else {
vErrors.push(err11);
}
errors++;
}
}
}
else {
const err12 = {instancePath:instancePath+"/exit/signal",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/properties/signal/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err12];
}
else {
vErrors.push(err12);
}
errors++;
}
}
var valid8 = _errs28 === errors;
}
else {
var valid8 = true;
}
}
}
}
}
else {
const err13 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/1/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err13];
}
else {
vErrors.push(err13);
}
errors++;
}
}
var _valid0 = _errs24 === errors;
if(_valid0 && valid6){
valid6 = false;
passing0 = [passing0, 1];
}
else {
if(_valid0){
valid6 = true;
passing0 = 1;
if(props0 !== true){
props0 = true;
}
}
const _errs30 = errors;
if(errors === _errs30){
if(data5 && typeof data5 == "object" && !Array.isArray(data5)){
let missing3;
if(((data5.kind === undefined) && (missing3 = "kind")) || ((data5.limit === undefined) && (missing3 = "limit"))){
const err14 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/2/required",keyword:"required",params:{missingProperty: missing3},message:"must have required property '"+missing3+"'"};
if(vErrors === null){
vErrors = [err14];
}
else {
vErrors.push(err14);
}
errors++;
}
else {
const _errs32 = errors;
for(const key3 in data5){
if(!((key3 === "kind") || (key3 === "limit"))){
const err15 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/2/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key3},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err15];
}
else {
vErrors.push(err15);
}
errors++;
break;
}
}
if(_errs32 === errors){
if(data5.kind !== undefined){
const _errs33 = errors;
if("limit" !== data5.kind){
const err16 = {instancePath:instancePath+"/exit/kind",schemaPath:"common.schema.json#/$defs/exit/oneOf/2/properties/kind/const",keyword:"const",params:{allowedValue: "limit"},message:"must be equal to constant"};
if(vErrors === null){
vErrors = [err16];
}
else {
vErrors.push(err16);
}
errors++;
}
var valid9 = _errs33 === errors;
}
else {
var valid9 = true;
}
if(valid9){
if(data5.limit !== undefined){
let data11 = data5.limit;
const _errs34 = errors;
if(!((((((data11 === "wall") || (data11 === "cpu")) || (data11 === "memory")) || (data11 === "disk")) || (data11 === "files")) || (data11 === "output"))){
const err17 = {instancePath:instancePath+"/exit/limit",schemaPath:"common.schema.json#/$defs/exit/oneOf/2/properties/limit/enum",keyword:"enum",params:{allowedValues: schema108.oneOf[2].properties.limit.enum},message:"must be equal to one of the allowed values"};
if(vErrors === null){
vErrors = [err17];
}
else {
vErrors.push(err17);
}
errors++;
}
var valid9 = _errs34 === errors;
}
else {
var valid9 = true;
}
}
}
}
}
else {
const err18 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/2/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err18];
}
else {
vErrors.push(err18);
}
errors++;
}
}
var _valid0 = _errs30 === errors;
if(_valid0 && valid6){
valid6 = false;
passing0 = [passing0, 2];
}
else {
if(_valid0){
valid6 = true;
passing0 = 2;
if(props0 !== true){
props0 = true;
}
}
const _errs35 = errors;
if(errors === _errs35){
if(data5 && typeof data5 == "object" && !Array.isArray(data5)){
let missing4;
if(((data5.kind === undefined) && (missing4 = "kind")) || ((data5.reason === undefined) && (missing4 = "reason"))){
const err19 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/required",keyword:"required",params:{missingProperty: missing4},message:"must have required property '"+missing4+"'"};
if(vErrors === null){
vErrors = [err19];
}
else {
vErrors.push(err19);
}
errors++;
}
else {
const _errs37 = errors;
for(const key4 in data5){
if(!((key4 === "kind") || (key4 === "reason"))){
const err20 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key4},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err20];
}
else {
vErrors.push(err20);
}
errors++;
break;
}
}
if(_errs37 === errors){
if(data5.kind !== undefined){
const _errs38 = errors;
if("failed" !== data5.kind){
const err21 = {instancePath:instancePath+"/exit/kind",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/properties/kind/const",keyword:"const",params:{allowedValue: "failed"},message:"must be equal to constant"};
if(vErrors === null){
vErrors = [err21];
}
else {
vErrors.push(err21);
}
errors++;
}
var valid10 = _errs38 === errors;
}
else {
var valid10 = true;
}
if(valid10){
if(data5.reason !== undefined){
let data13 = data5.reason;
const _errs39 = errors;
if(errors === _errs39){
if(typeof data13 === "string"){
if(func1(data13) > 256){
const err22 = {instancePath:instancePath+"/exit/reason",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/properties/reason/maxLength",keyword:"maxLength",params:{limit: 256},message:"must NOT have more than 256 characters"};
if(vErrors === null){
vErrors = [err22];
}
else {
vErrors.push(err22);
}
errors++;
}
}
else {
const err23 = {instancePath:instancePath+"/exit/reason",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/properties/reason/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err23];
}
else {
vErrors.push(err23);
}
errors++;
}
}
var valid10 = _errs39 === errors;
}
else {
var valid10 = true;
}
}
}
}
}
else {
const err24 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf/3/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err24];
}
else {
vErrors.push(err24);
}
errors++;
}
}
var _valid0 = _errs35 === errors;
if(_valid0 && valid6){
valid6 = false;
passing0 = [passing0, 3];
}
else {
if(_valid0){
valid6 = true;
passing0 = 3;
if(props0 !== true){
props0 = true;
}
}
}
}
}
if(!valid6){
const err25 = {instancePath:instancePath+"/exit",schemaPath:"common.schema.json#/$defs/exit/oneOf",keyword:"oneOf",params:{passingSchemas: passing0},message:"must match exactly one schema in oneOf"};
if(vErrors === null){
vErrors = [err25];
}
else {
vErrors.push(err25);
}
errors++;
validate140.errors = vErrors;
return false;
}
else {
errors = _errs17;
if(vErrors !== null){
if(_errs17){
vErrors.length = _errs17;
}
else {
vErrors = null;
}
}
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.manifest !== undefined){
const _errs41 = errors;
if(!(validate141(data.manifest, {instancePath:instancePath+"/manifest",parentData:data,parentDataProperty:"manifest",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate141.errors : vErrors.concat(validate141.errors);
errors = vErrors.length;
}
var valid0 = _errs41 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.usage !== undefined){
let data15 = data.usage;
const _errs42 = errors;
const _errs43 = errors;
if(errors === _errs43){
if(data15 && typeof data15 == "object" && !Array.isArray(data15)){
let missing5;
if(((((data15.wallSeconds === undefined) && (missing5 = "wallSeconds")) || ((data15.cpuSeconds === undefined) && (missing5 = "cpuSeconds"))) || ((data15.memoryMiB === undefined) && (missing5 = "memoryMiB"))) || ((data15.diskMiB === undefined) && (missing5 = "diskMiB"))){
validate140.errors = [{instancePath:instancePath+"/usage",schemaPath:"common.schema.json#/$defs/usage/required",keyword:"required",params:{missingProperty: missing5},message:"must have required property '"+missing5+"'"}];
return false;
}
else {
const _errs45 = errors;
for(const key5 in data15){
if(!((((key5 === "wallSeconds") || (key5 === "cpuSeconds")) || (key5 === "memoryMiB")) || (key5 === "diskMiB"))){
validate140.errors = [{instancePath:instancePath+"/usage",schemaPath:"common.schema.json#/$defs/usage/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key5},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs45 === errors){
if(data15.wallSeconds !== undefined){
let data16 = data15.wallSeconds;
const _errs46 = errors;
if(errors === _errs46){
if((typeof data16 == "number") && (isFinite(data16))){
if(data16 > 31536000 || isNaN(data16)){
validate140.errors = [{instancePath:instancePath+"/usage/wallSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/wallSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 31536000},message:"must be <= 31536000"}];
return false;
}
else {
if(data16 < 0 || isNaN(data16)){
validate140.errors = [{instancePath:instancePath+"/usage/wallSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/wallSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate140.errors = [{instancePath:instancePath+"/usage/wallSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/wallSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid12 = _errs46 === errors;
}
else {
var valid12 = true;
}
if(valid12){
if(data15.cpuSeconds !== undefined){
let data17 = data15.cpuSeconds;
const _errs48 = errors;
if(errors === _errs48){
if((typeof data17 == "number") && (isFinite(data17))){
if(data17 > 3153600000 || isNaN(data17)){
validate140.errors = [{instancePath:instancePath+"/usage/cpuSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/cpuSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 3153600000},message:"must be <= 3153600000"}];
return false;
}
else {
if(data17 < 0 || isNaN(data17)){
validate140.errors = [{instancePath:instancePath+"/usage/cpuSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/cpuSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate140.errors = [{instancePath:instancePath+"/usage/cpuSeconds",schemaPath:"common.schema.json#/$defs/usage/properties/cpuSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid12 = _errs48 === errors;
}
else {
var valid12 = true;
}
if(valid12){
if(data15.memoryMiB !== undefined){
let data18 = data15.memoryMiB;
const _errs50 = errors;
if(errors === _errs50){
if((typeof data18 == "number") && (isFinite(data18))){
if(data18 > 67108864 || isNaN(data18)){
validate140.errors = [{instancePath:instancePath+"/usage/memoryMiB",schemaPath:"common.schema.json#/$defs/usage/properties/memoryMiB/maximum",keyword:"maximum",params:{comparison: "<=", limit: 67108864},message:"must be <= 67108864"}];
return false;
}
else {
if(data18 < 0 || isNaN(data18)){
validate140.errors = [{instancePath:instancePath+"/usage/memoryMiB",schemaPath:"common.schema.json#/$defs/usage/properties/memoryMiB/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate140.errors = [{instancePath:instancePath+"/usage/memoryMiB",schemaPath:"common.schema.json#/$defs/usage/properties/memoryMiB/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid12 = _errs50 === errors;
}
else {
var valid12 = true;
}
if(valid12){
if(data15.diskMiB !== undefined){
let data19 = data15.diskMiB;
const _errs52 = errors;
if(errors === _errs52){
if((typeof data19 == "number") && (isFinite(data19))){
if(data19 > 1073741824 || isNaN(data19)){
validate140.errors = [{instancePath:instancePath+"/usage/diskMiB",schemaPath:"common.schema.json#/$defs/usage/properties/diskMiB/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1073741824},message:"must be <= 1073741824"}];
return false;
}
else {
if(data19 < 0 || isNaN(data19)){
validate140.errors = [{instancePath:instancePath+"/usage/diskMiB",schemaPath:"common.schema.json#/$defs/usage/properties/diskMiB/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
else {
validate140.errors = [{instancePath:instancePath+"/usage/diskMiB",schemaPath:"common.schema.json#/$defs/usage/properties/diskMiB/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid12 = _errs52 === errors;
}
else {
var valid12 = true;
}
}
}
}
}
}
}
else {
validate140.errors = [{instancePath:instancePath+"/usage",schemaPath:"common.schema.json#/$defs/usage/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid0 = _errs42 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.logTail !== undefined){
let data20 = data.logTail;
const _errs54 = errors;
const _errs55 = errors;
if(errors === _errs55){
if(typeof data20 === "string"){
if(func1(data20) > 2048){
validate140.errors = [{instancePath:instancePath+"/logTail",schemaPath:"common.schema.json#/$defs/logTail/maxLength",keyword:"maxLength",params:{limit: 2048},message:"must NOT have more than 2048 characters"}];
return false;
}
}
else {
validate140.errors = [{instancePath:instancePath+"/logTail",schemaPath:"common.schema.json#/$defs/logTail/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs54 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.signature !== undefined){
let data21 = data.signature;
const _errs57 = errors;
const _errs58 = errors;
if(errors === _errs58){
if(typeof data21 === "string"){
if(func1(data21) > 86){
validate140.errors = [{instancePath:instancePath+"/signature",schemaPath:"common.schema.json#/$defs/signature/maxLength",keyword:"maxLength",params:{limit: 86},message:"must NOT have more than 86 characters"}];
return false;
}
else {
if(!pattern91.test(data21)){
validate140.errors = [{instancePath:instancePath+"/signature",schemaPath:"common.schema.json#/$defs/signature/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z0-9_-]{86}$"},message:"must match pattern \""+"^[A-Za-z0-9_-]{86}$"+"\""}];
return false;
}
}
}
else {
validate140.errors = [{instancePath:instancePath+"/signature",schemaPath:"common.schema.json#/$defs/signature/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs57 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.next !== undefined){
let data22 = data.next;
const _errs60 = errors;
const _errs61 = errors;
if(errors === _errs61){
if(data22 && typeof data22 == "object" && !Array.isArray(data22)){
if(Object.keys(data22).length > 64){
validate140.errors = [{instancePath:instancePath+"/next",schemaPath:"common.schema.json#/$defs/hostAd/maxProperties",keyword:"maxProperties",params:{limit: 64},message:"must NOT have more than 64 properties"}];
return false;
}
else {
for(const key6 in data22){
const _errs63 = errors;
if(errors === _errs63){
if(typeof key6 === "string"){
if(func1(key6) > 64){
const err26 = {instancePath:instancePath+"/next",schemaPath:"common.schema.json#/$defs/hostAd/propertyNames/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters",propertyName:key6};
if(vErrors === null){
vErrors = [err26];
}
else {
vErrors.push(err26);
}
errors++;
}
else {
if(!pattern92.test(key6)){
const err27 = {instancePath:instancePath+"/next",schemaPath:"common.schema.json#/$defs/hostAd/propertyNames/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z_][A-Za-z0-9_]{0,63}$"},message:"must match pattern \""+"^[A-Za-z_][A-Za-z0-9_]{0,63}$"+"\"",propertyName:key6};
if(vErrors === null){
vErrors = [err27];
}
else {
vErrors.push(err27);
}
errors++;
}
}
}
else {
const err28 = {instancePath:instancePath+"/next",schemaPath:"common.schema.json#/$defs/hostAd/propertyNames/type",keyword:"type",params:{type: "string"},message:"must be string",propertyName:key6};
if(vErrors === null){
vErrors = [err28];
}
else {
vErrors.push(err28);
}
errors++;
}
}
var valid16 = _errs63 === errors;
if(!valid16){
const err29 = {instancePath:instancePath+"/next",schemaPath:"common.schema.json#/$defs/hostAd/propertyNames",keyword:"propertyNames",params:{propertyName: key6},message:"property name must be valid"};
if(vErrors === null){
vErrors = [err29];
}
else {
vErrors.push(err29);
}
errors++;
validate140.errors = vErrors;
return false;
break;
}
}
if(valid16){
for(const key7 in data22){
let data23 = data22[key7];
const _errs66 = errors;
const _errs67 = errors;
let valid18 = false;
let passing1 = null;
const _errs68 = errors;
if(errors === _errs68){
if(typeof data23 === "string"){
if(func1(data23) > 256){
const err30 = {instancePath:instancePath+"/next/" + key7.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/0/maxLength",keyword:"maxLength",params:{limit: 256},message:"must NOT have more than 256 characters"};
if(vErrors === null){
vErrors = [err30];
}
else {
vErrors.push(err30);
}
errors++;
}
}
else {
const err31 = {instancePath:instancePath+"/next/" + key7.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/0/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err31];
}
else {
vErrors.push(err31);
}
errors++;
}
}
var _valid1 = _errs68 === errors;
if(_valid1){
valid18 = true;
passing1 = 0;
}
const _errs70 = errors;
if(errors === _errs70){
if((typeof data23 == "number") && (isFinite(data23))){
if(data23 > 9007199254740991 || isNaN(data23)){
const err32 = {instancePath:instancePath+"/next/" + key7.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/1/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"};
if(vErrors === null){
vErrors = [err32];
}
else {
vErrors.push(err32);
}
errors++;
}
else {
if(data23 < -9007199254740991 || isNaN(data23)){
const err33 = {instancePath:instancePath+"/next/" + key7.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/1/minimum",keyword:"minimum",params:{comparison: ">=", limit: -9007199254740991},message:"must be >= -9007199254740991"};
if(vErrors === null){
vErrors = [err33];
}
else {
vErrors.push(err33);
}
errors++;
}
}
}
else {
const err34 = {instancePath:instancePath+"/next/" + key7.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/1/type",keyword:"type",params:{type: "number"},message:"must be number"};
if(vErrors === null){
vErrors = [err34];
}
else {
vErrors.push(err34);
}
errors++;
}
}
var _valid1 = _errs70 === errors;
if(_valid1 && valid18){
valid18 = false;
passing1 = [passing1, 1];
}
else {
if(_valid1){
valid18 = true;
passing1 = 1;
}
const _errs72 = errors;
if(typeof data23 !== "boolean"){
const err35 = {instancePath:instancePath+"/next/" + key7.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/2/type",keyword:"type",params:{type: "boolean"},message:"must be boolean"};
if(vErrors === null){
vErrors = [err35];
}
else {
vErrors.push(err35);
}
errors++;
}
var _valid1 = _errs72 === errors;
if(_valid1 && valid18){
valid18 = false;
passing1 = [passing1, 2];
}
else {
if(_valid1){
valid18 = true;
passing1 = 2;
}
}
}
if(!valid18){
const err36 = {instancePath:instancePath+"/next/" + key7.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf",keyword:"oneOf",params:{passingSchemas: passing1},message:"must match exactly one schema in oneOf"};
if(vErrors === null){
vErrors = [err36];
}
else {
vErrors.push(err36);
}
errors++;
validate140.errors = vErrors;
return false;
}
else {
errors = _errs67;
if(vErrors !== null){
if(_errs67){
vErrors.length = _errs67;
}
else {
vErrors = null;
}
}
}
var valid17 = _errs66 === errors;
if(!valid17){
break;
}
}
}
}
}
else {
validate140.errors = [{instancePath:instancePath+"/next",schemaPath:"common.schema.json#/$defs/hostAd/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid0 = _errs60 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.seen !== undefined){
const _errs74 = errors;
if(!(validate144(data.seen, {instancePath:instancePath+"/seen",parentData:data,parentDataProperty:"seen",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate144.errors : vErrors.concat(validate144.errors);
errors = vErrors.length;
}
var valid0 = _errs74 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
else {
validate140.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate140.errors = vErrors;
return errors === 0;
}
validate140.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isReported = validate147;
const schema277 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"reported.schema.json","title":"Reported","description":"Answer to a report: the verdict as far as it is known, and the next lease if one was asked for.","type":"object","properties":{"kind":{"const":"reported"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"job":{"$ref":"common.schema.json#/$defs/jobId"},"attempt":{"$ref":"common.schema.json#/$defs/attemptNumber"},"verdict":{"$ref":"common.schema.json#/$defs/verdict"},"reason":{"$ref":"common.schema.json#/$defs/text"},"next":{"oneOf":[{"$ref":"common.schema.json#/$defs/lease"},{"$ref":"common.schema.json#/$defs/noWork"}]},"verdicts":{"$ref":"common.schema.json#/$defs/verdicts"}},"required":["kind","slot","counter","job","attempt","verdict","reason","verdicts"],"additionalProperties":false};

function validate148(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate148.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((((data.job === undefined) && (missing0 = "job")) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.queue === undefined) && (missing0 = "queue"))) || ((data.leaseSeconds === undefined) && (missing0 = "leaseSeconds"))) || ((data.firstRenewSeconds === undefined) && (missing0 = "firstRenewSeconds"))) || ((data.description === undefined) && (missing0 = "description"))) || ((data.capabilities === undefined) && (missing0 = "capabilities"))){
validate148.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((((key0 === "job") || (key0 === "attempt")) || (key0 === "queue")) || (key0 === "leaseSeconds")) || (key0 === "firstRenewSeconds")) || (key0 === "description")) || (key0 === "capabilities"))){
validate148.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.job !== undefined){
let data0 = data.job;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 26){
validate148.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data0)){
validate148.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate148.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data1 = data.attempt;
const _errs5 = errors;
const _errs6 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate148.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs6){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 1000000 || isNaN(data1)){
validate148.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate148.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.queue !== undefined){
let data2 = data.queue;
const _errs8 = errors;
const _errs9 = errors;
if(errors === _errs9){
if(typeof data2 === "string"){
if(func1(data2) > 64){
validate148.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters"}];
return false;
}
else {
if(func1(data2) < 1){
validate148.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/minLength",keyword:"minLength",params:{limit: 1},message:"must NOT have fewer than 1 characters"}];
return false;
}
else {
if(!pattern10.test(data2)){
validate148.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/pattern",keyword:"pattern",params:{pattern: "^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"},message:"must match pattern \""+"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"+"\""}];
return false;
}
}
}
}
else {
validate148.errors = [{instancePath:instancePath+"/queue",schemaPath:"common.schema.json#/$defs/name/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs8 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.leaseSeconds !== undefined){
let data3 = data.leaseSeconds;
const _errs11 = errors;
if(errors === _errs11){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 604800 || isNaN(data3)){
validate148.errors = [{instancePath:instancePath+"/leaseSeconds",schemaPath:"#/properties/leaseSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 604800},message:"must be <= 604800"}];
return false;
}
else {
if(data3 < 0.001 || isNaN(data3)){
validate148.errors = [{instancePath:instancePath+"/leaseSeconds",schemaPath:"#/properties/leaseSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0.001},message:"must be >= 0.001"}];
return false;
}
}
}
else {
validate148.errors = [{instancePath:instancePath+"/leaseSeconds",schemaPath:"#/properties/leaseSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.firstRenewSeconds !== undefined){
let data4 = data.firstRenewSeconds;
const _errs13 = errors;
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 604800 || isNaN(data4)){
validate148.errors = [{instancePath:instancePath+"/firstRenewSeconds",schemaPath:"#/properties/firstRenewSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 604800},message:"must be <= 604800"}];
return false;
}
else {
if(data4 < 0.001 || isNaN(data4)){
validate148.errors = [{instancePath:instancePath+"/firstRenewSeconds",schemaPath:"#/properties/firstRenewSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0.001},message:"must be >= 0.001"}];
return false;
}
}
}
else {
validate148.errors = [{instancePath:instancePath+"/firstRenewSeconds",schemaPath:"#/properties/firstRenewSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"}];
return false;
}
}
var valid0 = _errs13 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.description !== undefined){
const _errs15 = errors;
if(!(validate27(data.description, {instancePath:instancePath+"/description",parentData:data,parentDataProperty:"description",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate27.errors : vErrors.concat(validate27.errors);
errors = vErrors.length;
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.capabilities !== undefined){
const _errs16 = errors;
if(!(validate42(data.capabilities, {instancePath:instancePath+"/capabilities",parentData:data,parentDataProperty:"capabilities",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate42.errors : vErrors.concat(validate42.errors);
errors = vErrors.length;
}
var valid0 = _errs16 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
else {
validate148.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate148.errors = vErrors;
return errors === 0;
}
validate148.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate152(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate152.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate152.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate96(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate96.errors : vErrors.concat(validate96.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate152.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate152.errors = vErrors;
return errors === 0;
}
validate152.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate147(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="reported.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate147.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.job === undefined) && (missing0 = "job"))) || ((data.attempt === undefined) && (missing0 = "attempt"))) || ((data.verdict === undefined) && (missing0 = "verdict"))) || ((data.reason === undefined) && (missing0 = "reason"))) || ((data.verdicts === undefined) && (missing0 = "verdicts"))){
validate147.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(func8.call(schema277.properties, key0))){
validate147.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("reported" !== data.kind){
validate147.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "reported"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate147.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate147.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate147.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate147.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate147.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate147.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.job !== undefined){
let data3 = data.job;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate147.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate147.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate147.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data4 = data.attempt;
const _errs12 = errors;
const _errs13 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate147.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs13){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 1000000 || isNaN(data4)){
validate147.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data4 < 1 || isNaN(data4)){
validate147.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs12 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verdict !== undefined){
let data5 = data.verdict;
const _errs15 = errors;
if(!((((data5 === "verifying") || (data5 === "waiting")) || (data5 === "committed")) || (data5 === "refused"))){
validate147.errors = [{instancePath:instancePath+"/verdict",schemaPath:"common.schema.json#/$defs/verdict/enum",keyword:"enum",params:{allowedValues: schema168.enum},message:"must be equal to one of the allowed values"}];
return false;
}
var valid0 = _errs15 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.reason !== undefined){
let data6 = data.reason;
const _errs17 = errors;
const _errs18 = errors;
if(errors === _errs18){
if(typeof data6 === "string"){
if(func1(data6) > 512){
validate147.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/maxLength",keyword:"maxLength",params:{limit: 512},message:"must NOT have more than 512 characters"}];
return false;
}
}
else {
validate147.errors = [{instancePath:instancePath+"/reason",schemaPath:"common.schema.json#/$defs/text/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs17 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.next !== undefined){
let data7 = data.next;
const _errs20 = errors;
const _errs21 = errors;
let valid7 = false;
let passing0 = null;
const _errs22 = errors;
if(!(validate148(data7, {instancePath:instancePath+"/next",parentData:data,parentDataProperty:"next",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate148.errors : vErrors.concat(validate148.errors);
errors = vErrors.length;
}
var _valid0 = _errs22 === errors;
if(_valid0){
valid7 = true;
passing0 = 0;
var props0 = true;
}
const _errs23 = errors;
const _errs24 = errors;
if(errors === _errs24){
if(data7 && typeof data7 == "object" && !Array.isArray(data7)){
let missing1;
if(((data7.reason === undefined) && (missing1 = "reason")) || ((data7.retryAfterSeconds === undefined) && (missing1 = "retryAfterSeconds"))){
const err0 = {instancePath:instancePath+"/next",schemaPath:"common.schema.json#/$defs/noWork/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
else {
const _errs26 = errors;
for(const key1 in data7){
if(!((key1 === "reason") || (key1 === "retryAfterSeconds"))){
const err1 = {instancePath:instancePath+"/next",schemaPath:"common.schema.json#/$defs/noWork/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
break;
}
}
if(_errs26 === errors){
if(data7.reason !== undefined){
let data8 = data7.reason;
const _errs27 = errors;
if(!(((((((data8 === "no-work") || (data8 === "no-match")) || (data8 === "cooling-down")) || (data8 === "too-many-attempts")) || (data8 === "draining")) || (data8 === "busy")) || (data8 === "storage-unavailable"))){
const err2 = {instancePath:instancePath+"/next/reason",schemaPath:"common.schema.json#/$defs/noWork/properties/reason/enum",keyword:"enum",params:{allowedValues: schema212.properties.reason.enum},message:"must be equal to one of the allowed values"};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
var valid9 = _errs27 === errors;
}
else {
var valid9 = true;
}
if(valid9){
if(data7.retryAfterSeconds !== undefined){
let data9 = data7.retryAfterSeconds;
const _errs28 = errors;
if(errors === _errs28){
if((typeof data9 == "number") && (isFinite(data9))){
if(data9 > 86400 || isNaN(data9)){
const err3 = {instancePath:instancePath+"/next/retryAfterSeconds",schemaPath:"common.schema.json#/$defs/noWork/properties/retryAfterSeconds/maximum",keyword:"maximum",params:{comparison: "<=", limit: 86400},message:"must be <= 86400"};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
}
else {
if(data9 < 0 || isNaN(data9)){
const err4 = {instancePath:instancePath+"/next/retryAfterSeconds",schemaPath:"common.schema.json#/$defs/noWork/properties/retryAfterSeconds/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
}
}
}
else {
const err5 = {instancePath:instancePath+"/next/retryAfterSeconds",schemaPath:"common.schema.json#/$defs/noWork/properties/retryAfterSeconds/type",keyword:"type",params:{type: "number"},message:"must be number"};
if(vErrors === null){
vErrors = [err5];
}
else {
vErrors.push(err5);
}
errors++;
}
}
var valid9 = _errs28 === errors;
}
else {
var valid9 = true;
}
}
}
}
}
else {
const err6 = {instancePath:instancePath+"/next",schemaPath:"common.schema.json#/$defs/noWork/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err6];
}
else {
vErrors.push(err6);
}
errors++;
}
}
var _valid0 = _errs23 === errors;
if(_valid0 && valid7){
valid7 = false;
passing0 = [passing0, 1];
}
else {
if(_valid0){
valid7 = true;
passing0 = 1;
if(props0 !== true){
props0 = true;
}
}
}
if(!valid7){
const err7 = {instancePath:instancePath+"/next",schemaPath:"#/properties/next/oneOf",keyword:"oneOf",params:{passingSchemas: passing0},message:"must match exactly one schema in oneOf"};
if(vErrors === null){
vErrors = [err7];
}
else {
vErrors.push(err7);
}
errors++;
validate147.errors = vErrors;
return false;
}
else {
errors = _errs21;
if(vErrors !== null){
if(_errs21){
vErrors.length = _errs21;
}
else {
vErrors = null;
}
}
}
var valid0 = _errs20 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verdicts !== undefined){
const _errs30 = errors;
if(!(validate152(data.verdicts, {instancePath:instancePath+"/verdicts",parentData:data,parentDataProperty:"verdicts",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate152.errors : vErrors.concat(validate152.errors);
errors = vErrors.length;
}
var valid0 = _errs30 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
}
}
}
}
else {
validate147.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate147.errors = vErrors;
return errors === 0;
}
validate147.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isRequest = validate155;
const schema290 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"request.schema.json","title":"Request","description":"Asks for work in a slot; may be parked.","type":"object","properties":{"kind":{"const":"request"},"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"},"ad":{"$ref":"common.schema.json#/$defs/hostAd"},"seen":{"$ref":"common.schema.json#/$defs/seen"}},"required":["kind","slot","counter","ad","seen"],"additionalProperties":false};

function validate156(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate156.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate156.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate133(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate133.errors : vErrors.concat(validate133.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate156.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate156.errors = vErrors;
return errors === 0;
}
validate156.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate155(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="request.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate155.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.kind === undefined) && (missing0 = "kind")) || ((data.slot === undefined) && (missing0 = "slot"))) || ((data.counter === undefined) && (missing0 = "counter"))) || ((data.ad === undefined) && (missing0 = "ad"))) || ((data.seen === undefined) && (missing0 = "seen"))){
validate155.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "kind") || (key0 === "slot")) || (key0 === "counter")) || (key0 === "ad")) || (key0 === "seen"))){
validate155.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("request" !== data.kind){
validate155.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "request"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slot !== undefined){
let data1 = data.slot;
const _errs3 = errors;
const _errs4 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate155.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs4){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 63 || isNaN(data1)){
validate155.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data1 < 0 || isNaN(data1)){
validate155.errors = [{instancePath:instancePath+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.counter !== undefined){
let data2 = data.counter;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate155.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 9007199254740991 || isNaN(data2)){
validate155.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate155.errors = [{instancePath:instancePath+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.ad !== undefined){
let data3 = data.ad;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(data3 && typeof data3 == "object" && !Array.isArray(data3)){
if(Object.keys(data3).length > 64){
validate155.errors = [{instancePath:instancePath+"/ad",schemaPath:"common.schema.json#/$defs/hostAd/maxProperties",keyword:"maxProperties",params:{limit: 64},message:"must NOT have more than 64 properties"}];
return false;
}
else {
for(const key1 in data3){
const _errs12 = errors;
if(errors === _errs12){
if(typeof key1 === "string"){
if(func1(key1) > 64){
const err0 = {instancePath:instancePath+"/ad",schemaPath:"common.schema.json#/$defs/hostAd/propertyNames/maxLength",keyword:"maxLength",params:{limit: 64},message:"must NOT have more than 64 characters",propertyName:key1};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
else {
if(!pattern92.test(key1)){
const err1 = {instancePath:instancePath+"/ad",schemaPath:"common.schema.json#/$defs/hostAd/propertyNames/pattern",keyword:"pattern",params:{pattern: "^[A-Za-z_][A-Za-z0-9_]{0,63}$"},message:"must match pattern \""+"^[A-Za-z_][A-Za-z0-9_]{0,63}$"+"\"",propertyName:key1};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
}
}
}
else {
const err2 = {instancePath:instancePath+"/ad",schemaPath:"common.schema.json#/$defs/hostAd/propertyNames/type",keyword:"type",params:{type: "string"},message:"must be string",propertyName:key1};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
}
var valid4 = _errs12 === errors;
if(!valid4){
const err3 = {instancePath:instancePath+"/ad",schemaPath:"common.schema.json#/$defs/hostAd/propertyNames",keyword:"propertyNames",params:{propertyName: key1},message:"property name must be valid"};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
validate155.errors = vErrors;
return false;
break;
}
}
if(valid4){
for(const key2 in data3){
let data4 = data3[key2];
const _errs15 = errors;
const _errs16 = errors;
let valid6 = false;
let passing0 = null;
const _errs17 = errors;
if(errors === _errs17){
if(typeof data4 === "string"){
if(func1(data4) > 256){
const err4 = {instancePath:instancePath+"/ad/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/0/maxLength",keyword:"maxLength",params:{limit: 256},message:"must NOT have more than 256 characters"};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
}
}
else {
const err5 = {instancePath:instancePath+"/ad/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/0/type",keyword:"type",params:{type: "string"},message:"must be string"};
if(vErrors === null){
vErrors = [err5];
}
else {
vErrors.push(err5);
}
errors++;
}
}
var _valid0 = _errs17 === errors;
if(_valid0){
valid6 = true;
passing0 = 0;
}
const _errs19 = errors;
if(errors === _errs19){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 9007199254740991 || isNaN(data4)){
const err6 = {instancePath:instancePath+"/ad/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/1/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"};
if(vErrors === null){
vErrors = [err6];
}
else {
vErrors.push(err6);
}
errors++;
}
else {
if(data4 < -9007199254740991 || isNaN(data4)){
const err7 = {instancePath:instancePath+"/ad/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/1/minimum",keyword:"minimum",params:{comparison: ">=", limit: -9007199254740991},message:"must be >= -9007199254740991"};
if(vErrors === null){
vErrors = [err7];
}
else {
vErrors.push(err7);
}
errors++;
}
}
}
else {
const err8 = {instancePath:instancePath+"/ad/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/1/type",keyword:"type",params:{type: "number"},message:"must be number"};
if(vErrors === null){
vErrors = [err8];
}
else {
vErrors.push(err8);
}
errors++;
}
}
var _valid0 = _errs19 === errors;
if(_valid0 && valid6){
valid6 = false;
passing0 = [passing0, 1];
}
else {
if(_valid0){
valid6 = true;
passing0 = 1;
}
const _errs21 = errors;
if(typeof data4 !== "boolean"){
const err9 = {instancePath:instancePath+"/ad/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf/2/type",keyword:"type",params:{type: "boolean"},message:"must be boolean"};
if(vErrors === null){
vErrors = [err9];
}
else {
vErrors.push(err9);
}
errors++;
}
var _valid0 = _errs21 === errors;
if(_valid0 && valid6){
valid6 = false;
passing0 = [passing0, 2];
}
else {
if(_valid0){
valid6 = true;
passing0 = 2;
}
}
}
if(!valid6){
const err10 = {instancePath:instancePath+"/ad/" + key2.replace(/~/g, "~0").replace(/\//g, "~1"),schemaPath:"common.schema.json#/$defs/hostAd/additionalProperties/oneOf",keyword:"oneOf",params:{passingSchemas: passing0},message:"must match exactly one schema in oneOf"};
if(vErrors === null){
vErrors = [err10];
}
else {
vErrors.push(err10);
}
errors++;
validate155.errors = vErrors;
return false;
}
else {
errors = _errs16;
if(vErrors !== null){
if(_errs16){
vErrors.length = _errs16;
}
else {
vErrors = null;
}
}
}
var valid5 = _errs15 === errors;
if(!valid5){
break;
}
}
}
}
}
else {
validate155.errors = [{instancePath:instancePath+"/ad",schemaPath:"common.schema.json#/$defs/hostAd/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.seen !== undefined){
const _errs23 = errors;
if(!(validate156(data.seen, {instancePath:instancePath+"/seen",parentData:data,parentDataProperty:"seen",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate156.errors : vErrors.concat(validate156.errors);
errors = vErrors.length;
}
var valid0 = _errs23 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate155.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate155.errors = vErrors;
return errors === 0;
}
validate155.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isServiceHello = validate159;
const schema295 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"service-hello.schema.json","title":"ServiceHello","description":"Payload of handshake message 1 (IK): a broker opens a session to an adapter.","type":"object","properties":{"kind":{"const":"service-hello"},"session":{"$ref":"common.schema.json#/$defs/sessionId"},"versions":{"type":"array","items":{"$ref":"common.schema.json#/$defs/version"},"minItems":1,"maxItems":8,"description":"Versions served."},"start":{"$ref":"common.schema.json#/$defs/startId"}},"required":["kind","session","versions","start"],"additionalProperties":false};

function validate159(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="service-hello.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate159.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((data.kind === undefined) && (missing0 = "kind")) || ((data.session === undefined) && (missing0 = "session"))) || ((data.versions === undefined) && (missing0 = "versions"))) || ((data.start === undefined) && (missing0 = "start"))){
validate159.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "kind") || (key0 === "session")) || (key0 === "versions")) || (key0 === "start"))){
validate159.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("service-hello" !== data.kind){
validate159.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "service-hello"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.session !== undefined){
let data1 = data.session;
const _errs3 = errors;
const _errs4 = errors;
if(errors === _errs4){
if(typeof data1 === "string"){
if(func1(data1) > 16){
validate159.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/maxLength",keyword:"maxLength",params:{limit: 16},message:"must NOT have more than 16 characters"}];
return false;
}
else {
if(!pattern5.test(data1)){
validate159.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{16}$"},message:"must match pattern \""+"^[0-9a-f]{16}$"+"\""}];
return false;
}
}
}
else {
validate159.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.versions !== undefined){
let data2 = data.versions;
const _errs6 = errors;
if(errors === _errs6){
if(Array.isArray(data2)){
if(data2.length > 8){
validate159.errors = [{instancePath:instancePath+"/versions",schemaPath:"#/properties/versions/maxItems",keyword:"maxItems",params:{limit: 8},message:"must NOT have more than 8 items"}];
return false;
}
else {
if(data2.length < 1){
validate159.errors = [{instancePath:instancePath+"/versions",schemaPath:"#/properties/versions/minItems",keyword:"minItems",params:{limit: 1},message:"must NOT have fewer than 1 items"}];
return false;
}
else {
var valid2 = true;
const len0 = data2.length;
for(let i0=0; i0<len0; i0++){
let data3 = data2[i0];
const _errs8 = errors;
const _errs9 = errors;
if(!(((typeof data3 == "number") && (!(data3 % 1) && !isNaN(data3))) && (isFinite(data3)))){
validate159.errors = [{instancePath:instancePath+"/versions/" + i0,schemaPath:"common.schema.json#/$defs/version/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs9){
if((typeof data3 == "number") && (isFinite(data3))){
if(data3 > 1000 || isNaN(data3)){
validate159.errors = [{instancePath:instancePath+"/versions/" + i0,schemaPath:"common.schema.json#/$defs/version/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000},message:"must be <= 1000"}];
return false;
}
else {
if(data3 < 1 || isNaN(data3)){
validate159.errors = [{instancePath:instancePath+"/versions/" + i0,schemaPath:"common.schema.json#/$defs/version/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid2 = _errs8 === errors;
if(!valid2){
break;
}
}
}
}
}
else {
validate159.errors = [{instancePath:instancePath+"/versions",schemaPath:"#/properties/versions/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.start !== undefined){
let data4 = data.start;
const _errs11 = errors;
const _errs12 = errors;
if(errors === _errs12){
if(typeof data4 === "string"){
if(func1(data4) > 26){
validate159.errors = [{instancePath:instancePath+"/start",schemaPath:"common.schema.json#/$defs/startId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data4)){
validate159.errors = [{instancePath:instancePath+"/start",schemaPath:"common.schema.json#/$defs/startId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate159.errors = [{instancePath:instancePath+"/start",schemaPath:"common.schema.json#/$defs/startId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs11 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate159.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate159.errors = vErrors;
return errors === 0;
}
validate159.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isServiceWelcome = validate160;
const schema299 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"service-welcome.schema.json","title":"ServiceWelcome","description":"Payload of handshake message 2 (IK).","type":"object","properties":{"kind":{"const":"service-welcome"},"session":{"$ref":"common.schema.json#/$defs/sessionId"},"version":{"$ref":"common.schema.json#/$defs/version"},"start":{"$ref":"common.schema.json#/$defs/startId"}},"required":["kind","session","version","start"],"additionalProperties":false};

function validate160(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="service-welcome.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate160.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((((data.kind === undefined) && (missing0 = "kind")) || ((data.session === undefined) && (missing0 = "session"))) || ((data.version === undefined) && (missing0 = "version"))) || ((data.start === undefined) && (missing0 = "start"))){
validate160.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((((key0 === "kind") || (key0 === "session")) || (key0 === "version")) || (key0 === "start"))){
validate160.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("service-welcome" !== data.kind){
validate160.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "service-welcome"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.session !== undefined){
let data1 = data.session;
const _errs3 = errors;
const _errs4 = errors;
if(errors === _errs4){
if(typeof data1 === "string"){
if(func1(data1) > 16){
validate160.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/maxLength",keyword:"maxLength",params:{limit: 16},message:"must NOT have more than 16 characters"}];
return false;
}
else {
if(!pattern5.test(data1)){
validate160.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/pattern",keyword:"pattern",params:{pattern: "^[0-9a-f]{16}$"},message:"must match pattern \""+"^[0-9a-f]{16}$"+"\""}];
return false;
}
}
}
else {
validate160.errors = [{instancePath:instancePath+"/session",schemaPath:"common.schema.json#/$defs/sessionId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.version !== undefined){
let data2 = data.version;
const _errs6 = errors;
const _errs7 = errors;
if(!(((typeof data2 == "number") && (!(data2 % 1) && !isNaN(data2))) && (isFinite(data2)))){
validate160.errors = [{instancePath:instancePath+"/version",schemaPath:"common.schema.json#/$defs/version/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs7){
if((typeof data2 == "number") && (isFinite(data2))){
if(data2 > 1000 || isNaN(data2)){
validate160.errors = [{instancePath:instancePath+"/version",schemaPath:"common.schema.json#/$defs/version/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000},message:"must be <= 1000"}];
return false;
}
else {
if(data2 < 1 || isNaN(data2)){
validate160.errors = [{instancePath:instancePath+"/version",schemaPath:"common.schema.json#/$defs/version/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.start !== undefined){
let data3 = data.start;
const _errs9 = errors;
const _errs10 = errors;
if(errors === _errs10){
if(typeof data3 === "string"){
if(func1(data3) > 26){
validate160.errors = [{instancePath:instancePath+"/start",schemaPath:"common.schema.json#/$defs/startId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data3)){
validate160.errors = [{instancePath:instancePath+"/start",schemaPath:"common.schema.json#/$defs/startId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate160.errors = [{instancePath:instancePath+"/start",schemaPath:"common.schema.json#/$defs/startId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs9 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
else {
validate160.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate160.errors = vErrors;
return errors === 0;
}
validate160.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

export const isWelcome = validate161;
const schema303 = {"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"welcome.schema.json","title":"Welcome","description":"First frame of a session: where each slot stands.","type":"object","properties":{"kind":{"const":"welcome"},"agent":{"$ref":"common.schema.json#/$defs/agentId"},"slots":{"type":"array","items":{"type":"object","properties":{"slot":{"$ref":"common.schema.json#/$defs/slot"},"counter":{"$ref":"common.schema.json#/$defs/counter"}},"required":["slot","counter"],"additionalProperties":false},"maxItems":64,"description":"Last counter taken in each slot that was ever used."},"held":{"type":"array","items":{"$ref":"common.schema.json#/$defs/attempt"},"maxItems":64,"description":"Attempts the agent still holds live."},"verdicts":{"$ref":"common.schema.json#/$defs/verdicts"}},"required":["kind","agent","slots","held","verdicts"],"additionalProperties":false};

function validate162(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate162.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if(((data.job === undefined) && (missing0 = "job")) || ((data.attempt === undefined) && (missing0 = "attempt"))){
validate162.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!((key0 === "job") || (key0 === "attempt"))){
validate162.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.job !== undefined){
let data0 = data.job;
const _errs2 = errors;
const _errs3 = errors;
if(errors === _errs3){
if(typeof data0 === "string"){
if(func1(data0) > 26){
validate162.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data0)){
validate162.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate162.errors = [{instancePath:instancePath+"/job",schemaPath:"common.schema.json#/$defs/jobId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.attempt !== undefined){
let data1 = data.attempt;
const _errs5 = errors;
const _errs6 = errors;
if(!(((typeof data1 == "number") && (!(data1 % 1) && !isNaN(data1))) && (isFinite(data1)))){
validate162.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs6){
if((typeof data1 == "number") && (isFinite(data1))){
if(data1 > 1000000 || isNaN(data1)){
validate162.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/maximum",keyword:"maximum",params:{comparison: "<=", limit: 1000000},message:"must be <= 1000000"}];
return false;
}
else {
if(data1 < 1 || isNaN(data1)){
validate162.errors = [{instancePath:instancePath+"/attempt",schemaPath:"common.schema.json#/$defs/attemptNumber/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid0 = _errs5 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
else {
validate162.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate162.errors = vErrors;
return errors === 0;
}
validate162.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};


function validate164(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
let vErrors = null;
let errors = 0;
const evaluated0 = validate164.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(Array.isArray(data)){
if(data.length > 64){
validate164.errors = [{instancePath,schemaPath:"#/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid0 = true;
const len0 = data.length;
for(let i0=0; i0<len0; i0++){
const _errs1 = errors;
if(!(validate96(data[i0], {instancePath:instancePath+"/" + i0,parentData:data,parentDataProperty:i0,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate96.errors : vErrors.concat(validate96.errors);
errors = vErrors.length;
}
var valid0 = _errs1 === errors;
if(!valid0){
break;
}
}
}
}
else {
validate164.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
validate164.errors = vErrors;
return errors === 0;
}
validate164.evaluated = {"items":true,"dynamicProps":false,"dynamicItems":false};


function validate161(data, {instancePath="", parentData, parentDataProperty, rootData=data, dynamicAnchors={}}={}){
/*# sourceURL="welcome.schema.json" */;
let vErrors = null;
let errors = 0;
const evaluated0 = validate161.evaluated;
if(evaluated0.dynamicProps){
evaluated0.props = undefined;
}
if(evaluated0.dynamicItems){
evaluated0.items = undefined;
}
if(errors === 0){
if(data && typeof data == "object" && !Array.isArray(data)){
let missing0;
if((((((data.kind === undefined) && (missing0 = "kind")) || ((data.agent === undefined) && (missing0 = "agent"))) || ((data.slots === undefined) && (missing0 = "slots"))) || ((data.held === undefined) && (missing0 = "held"))) || ((data.verdicts === undefined) && (missing0 = "verdicts"))){
validate161.errors = [{instancePath,schemaPath:"#/required",keyword:"required",params:{missingProperty: missing0},message:"must have required property '"+missing0+"'"}];
return false;
}
else {
const _errs1 = errors;
for(const key0 in data){
if(!(((((key0 === "kind") || (key0 === "agent")) || (key0 === "slots")) || (key0 === "held")) || (key0 === "verdicts"))){
validate161.errors = [{instancePath,schemaPath:"#/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key0},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs1 === errors){
if(data.kind !== undefined){
const _errs2 = errors;
if("welcome" !== data.kind){
validate161.errors = [{instancePath:instancePath+"/kind",schemaPath:"#/properties/kind/const",keyword:"const",params:{allowedValue: "welcome"},message:"must be equal to constant"}];
return false;
}
var valid0 = _errs2 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.agent !== undefined){
let data1 = data.agent;
const _errs3 = errors;
const _errs4 = errors;
if(errors === _errs4){
if(typeof data1 === "string"){
if(func1(data1) > 26){
validate161.errors = [{instancePath:instancePath+"/agent",schemaPath:"common.schema.json#/$defs/agentId/maxLength",keyword:"maxLength",params:{limit: 26},message:"must NOT have more than 26 characters"}];
return false;
}
else {
if(!pattern6.test(data1)){
validate161.errors = [{instancePath:instancePath+"/agent",schemaPath:"common.schema.json#/$defs/agentId/pattern",keyword:"pattern",params:{pattern: "^[a-z2-7]{26}$"},message:"must match pattern \""+"^[a-z2-7]{26}$"+"\""}];
return false;
}
}
}
else {
validate161.errors = [{instancePath:instancePath+"/agent",schemaPath:"common.schema.json#/$defs/agentId/type",keyword:"type",params:{type: "string"},message:"must be string"}];
return false;
}
}
var valid0 = _errs3 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.slots !== undefined){
let data2 = data.slots;
const _errs6 = errors;
if(errors === _errs6){
if(Array.isArray(data2)){
if(data2.length > 64){
validate161.errors = [{instancePath:instancePath+"/slots",schemaPath:"#/properties/slots/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid2 = true;
const len0 = data2.length;
for(let i0=0; i0<len0; i0++){
let data3 = data2[i0];
const _errs8 = errors;
if(errors === _errs8){
if(data3 && typeof data3 == "object" && !Array.isArray(data3)){
let missing1;
if(((data3.slot === undefined) && (missing1 = "slot")) || ((data3.counter === undefined) && (missing1 = "counter"))){
validate161.errors = [{instancePath:instancePath+"/slots/" + i0,schemaPath:"#/properties/slots/items/required",keyword:"required",params:{missingProperty: missing1},message:"must have required property '"+missing1+"'"}];
return false;
}
else {
const _errs10 = errors;
for(const key1 in data3){
if(!((key1 === "slot") || (key1 === "counter"))){
validate161.errors = [{instancePath:instancePath+"/slots/" + i0,schemaPath:"#/properties/slots/items/additionalProperties",keyword:"additionalProperties",params:{additionalProperty: key1},message:"must NOT have additional properties"}];
return false;
break;
}
}
if(_errs10 === errors){
if(data3.slot !== undefined){
let data4 = data3.slot;
const _errs11 = errors;
const _errs12 = errors;
if(!(((typeof data4 == "number") && (!(data4 % 1) && !isNaN(data4))) && (isFinite(data4)))){
validate161.errors = [{instancePath:instancePath+"/slots/" + i0+"/slot",schemaPath:"common.schema.json#/$defs/slot/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs12){
if((typeof data4 == "number") && (isFinite(data4))){
if(data4 > 63 || isNaN(data4)){
validate161.errors = [{instancePath:instancePath+"/slots/" + i0+"/slot",schemaPath:"common.schema.json#/$defs/slot/maximum",keyword:"maximum",params:{comparison: "<=", limit: 63},message:"must be <= 63"}];
return false;
}
else {
if(data4 < 0 || isNaN(data4)){
validate161.errors = [{instancePath:instancePath+"/slots/" + i0+"/slot",schemaPath:"common.schema.json#/$defs/slot/minimum",keyword:"minimum",params:{comparison: ">=", limit: 0},message:"must be >= 0"}];
return false;
}
}
}
}
var valid3 = _errs11 === errors;
}
else {
var valid3 = true;
}
if(valid3){
if(data3.counter !== undefined){
let data5 = data3.counter;
const _errs14 = errors;
const _errs15 = errors;
if(!(((typeof data5 == "number") && (!(data5 % 1) && !isNaN(data5))) && (isFinite(data5)))){
validate161.errors = [{instancePath:instancePath+"/slots/" + i0+"/counter",schemaPath:"common.schema.json#/$defs/counter/type",keyword:"type",params:{type: "integer"},message:"must be integer"}];
return false;
}
if(errors === _errs15){
if((typeof data5 == "number") && (isFinite(data5))){
if(data5 > 9007199254740991 || isNaN(data5)){
validate161.errors = [{instancePath:instancePath+"/slots/" + i0+"/counter",schemaPath:"common.schema.json#/$defs/counter/maximum",keyword:"maximum",params:{comparison: "<=", limit: 9007199254740991},message:"must be <= 9007199254740991"}];
return false;
}
else {
if(data5 < 1 || isNaN(data5)){
validate161.errors = [{instancePath:instancePath+"/slots/" + i0+"/counter",schemaPath:"common.schema.json#/$defs/counter/minimum",keyword:"minimum",params:{comparison: ">=", limit: 1},message:"must be >= 1"}];
return false;
}
}
}
}
var valid3 = _errs14 === errors;
}
else {
var valid3 = true;
}
}
}
}
}
else {
validate161.errors = [{instancePath:instancePath+"/slots/" + i0,schemaPath:"#/properties/slots/items/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
var valid2 = _errs8 === errors;
if(!valid2){
break;
}
}
}
}
else {
validate161.errors = [{instancePath:instancePath+"/slots",schemaPath:"#/properties/slots/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs6 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.held !== undefined){
let data6 = data.held;
const _errs17 = errors;
if(errors === _errs17){
if(Array.isArray(data6)){
if(data6.length > 64){
validate161.errors = [{instancePath:instancePath+"/held",schemaPath:"#/properties/held/maxItems",keyword:"maxItems",params:{limit: 64},message:"must NOT have more than 64 items"}];
return false;
}
else {
var valid6 = true;
const len1 = data6.length;
for(let i1=0; i1<len1; i1++){
const _errs19 = errors;
if(!(validate162(data6[i1], {instancePath:instancePath+"/held/" + i1,parentData:data6,parentDataProperty:i1,rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate162.errors : vErrors.concat(validate162.errors);
errors = vErrors.length;
}
var valid6 = _errs19 === errors;
if(!valid6){
break;
}
}
}
}
else {
validate161.errors = [{instancePath:instancePath+"/held",schemaPath:"#/properties/held/type",keyword:"type",params:{type: "array"},message:"must be array"}];
return false;
}
}
var valid0 = _errs17 === errors;
}
else {
var valid0 = true;
}
if(valid0){
if(data.verdicts !== undefined){
const _errs20 = errors;
if(!(validate164(data.verdicts, {instancePath:instancePath+"/verdicts",parentData:data,parentDataProperty:"verdicts",rootData,dynamicAnchors}))){
vErrors = vErrors === null ? validate164.errors : vErrors.concat(validate164.errors);
errors = vErrors.length;
}
var valid0 = _errs20 === errors;
}
else {
var valid0 = true;
}
}
}
}
}
}
}
}
else {
validate161.errors = [{instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"}];
return false;
}
}
validate161.errors = vErrors;
return errors === 0;
}
validate161.evaluated = {"props":true,"dynamicProps":false,"dynamicItems":false};

// Command messages prints every message of Istio that meshbridge speaks, filled, as Go writes it.
//
// One line of JSON for each: its name, its bytes in hexadecimal, and what protojson makes of it. Each field, each
// member of a oneof and each value of an enum is set in some line. The lines are the same every time.
//
//	go run . > messages.jsonl
//
// in a module that requires istio.io/api in the version that tests/peers/servers/istiod/go.mod names.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	_ "google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	mcp "istio.io/api/mcp/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
)

var roots = []proto.Message{
	&mcp.Resource{}, &networking.DestinationRule{}, &networking.EnvoyFilter{}, &networking.ServiceEntry{},
	&networking.Sidecar{}, &networking.VirtualService{}, &networking.WorkloadEntry{},
}

func main() {
	kinds := map[protoreflect.FullName]protoreflect.MessageType{}
	for _, root := range roots {
		reach(root.ProtoReflect(), kinds)
	}
	names := []string{}
	for name := range kinds {
		names = append(names, string(name))
	}
	sort.Strings(names)
	for _, name := range names {
		kind := kinds[protoreflect.FullName(name)]
		for variant := 0; variant < variants(kind.Descriptor()); variant++ {
			number = 0
			message := kind.New()
			fill(message, variant, 1)
			write(message.Interface())
		}
	}
}

// reach collects the messages of Istio that one refers to, and itself.
func reach(message protoreflect.Message, kinds map[protoreflect.FullName]protoreflect.MessageType) {
	descriptor := message.Descriptor()
	if kinds[descriptor.FullName()] != nil || descriptor.ParentFile().Package() == "google.protobuf" {
		return
	}
	kinds[descriptor.FullName()] = message.Type()
	for i := 0; i < descriptor.Fields().Len(); i++ {
		field := descriptor.Fields().Get(i)
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				reach(message.NewField(field).Map().NewValue().Message(), kinds)
			}
		case field.Message() == nil:
		case field.IsList():
			reach(message.NewField(field).List().NewElement().Message(), kinds)
		default:
			reach(message.NewField(field).Message(), kinds)
		}
	}
}

// variants says how many are needed until each member of a oneof and each value of an enum was there.
func variants(descriptor protoreflect.MessageDescriptor) int {
	most := 1
	for i := 0; i < descriptor.Oneofs().Len(); i++ {
		most = max(most, descriptor.Oneofs().Get(i).Fields().Len())
	}
	for i := 0; i < descriptor.Fields().Len(); i++ {
		if field := descriptor.Fields().Get(i); field.Enum() != nil {
			most = max(most, (field.Enum().Values().Len()-1)*members(field))
		}
	}
	return most
}

// members says how many fields are in a field's oneof, itself included.
func members(field protoreflect.FieldDescriptor) int {
	if one := field.ContainingOneof(); one != nil {
		return one.Fields().Len()
	}
	return 1
}

var number int

func next() int {
	number++
	return number
}

// fill sets each field, and those of the messages in it to a certain depth.
func fill(message protoreflect.Message, variant, depth int) {
	if value, ok := message.Interface().(*structpb.Struct); ok {
		made, err := structpb.NewStruct(map[string]any{"name": "x", "port": 80, "on": true, "list": []any{nil, "y"}})
		if err != nil {
			panic(err)
		}
		value.Fields = made.Fields
		return
	}
	fields := message.Descriptor().Fields()
	for i := 0; i < fields.Len(); i++ {
		field := fields.Get(i)
		if one := field.ContainingOneof(); one != nil && one.Fields().Get(variant%one.Fields().Len()) != field {
			continue
		}
		if field.Message() != nil && !field.IsMap() && depth < 0 {
			continue
		}
		switch {
		case field.IsMap():
			values := message.Mutable(field).Map()
			for _, key := range []string{"b", "a"} {
				value := values.NewValue()
				if field.MapValue().Message() != nil {
					fill(value.Message(), variant, depth-1)
				} else {
					value = scalar(field.MapValue(), variant)
				}
				values.Set(protoreflect.ValueOfString(key).MapKey(), value)
			}
		case field.IsList():
			values := message.Mutable(field).List()
			if field.Message() != nil {
				fill(values.AppendMutable().Message(), variant, depth-1)
			} else {
				values.Append(scalar(field, variant))
				values.Append(scalar(field, variant))
			}
		case field.Message() != nil:
			fill(message.Mutable(field).Message(), variant, depth-1)
		default:
			message.Set(field, scalar(field, variant))
		}
	}
}

func scalar(field protoreflect.FieldDescriptor, variant int) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		values := field.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(1 + variant/members(field)%(values.Len()-1)).Number())
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(next()))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(next()))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(next()))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(next()))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(next()) + 0.5)
	case protoreflect.StringKind:
		if field.FullName() == "google.protobuf.Any.type_url" {
			return protoreflect.ValueOfString("type.googleapis.com/google.protobuf.Empty")
		}
		return protoreflect.ValueOfString(fmt.Sprintf("s%d", next()))
	case protoreflect.BytesKind:
		if field.FullName() == "google.protobuf.Any.value" {
			return protoreflect.ValueOfBytes(nil)
		}
		return protoreflect.ValueOfBytes([]byte{0, 255})
	default:
		panic(field.FullName())
	}
}

func write(message proto.Message) {
	binary, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		panic(err)
	}
	text, err := protojson.Marshal(message)
	if err != nil {
		panic(err)
	}
	var compact bytes.Buffer // protojson spaces its output by chance
	if err := json.Compact(&compact, text); err != nil {
		panic(err)
	}
	fmt.Printf("{\"message\":%q,\"bytes\":%q,\"json\":%s}\n",
		message.ProtoReflect().Descriptor().FullName(), hex.EncodeToString(binary), compact.String())
}
